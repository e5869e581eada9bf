import { describeError } from '@orama/core';
import { Allocation } from '../../allocation/allocation.ts';
import type { RelayPort } from '../../relay/relay.ts';
import { ADDRESS_FAMILY, ATTRIBUTE, type StunMessage, TRANSPORT_UDP } from '../../stun/index.ts';
import { grantedLifetimeSec, type ServerContext, type TurnRequest } from '../context.ts';
import { failure, success } from '../replies.ts';

/** Ports tried before an Allocate is refused, when other processes sit on ports of the block. */
const BIND_ATTEMPTS = 16;
const SOFTWARE = 'Orama TURN';

/** What EVEN-PORT and RESERVATION-TOKEN ask for. */
type PortWish = { kind: 'any' } | { kind: 'even'; reserveNext: boolean } | { kind: 'reserved'; token: Buffer };

/** Allocate (RFC 8656 section 7.2). The sender is authenticated; the numbers are the RFC's steps. */
export async function handleAllocate(request: TurnRequest, context: ServerContext): Promise<Buffer> {
  const { message, client, identity } = request;
  const { tenant, username, key } = identity;
  const fail = (code: number) => failure(message, code, key);

  // 2. One allocation for a 5-tuple.
  if (client.allocation !== undefined || client.allocating) return fail(437);
  // 3. Only UDP is relayed.
  const transport = message.bytes(ATTRIBUTE.requestedTransport);
  if (transport?.length !== 4) return fail(400);
  if (transport[0] !== TRANSPORT_UDP) return fail(442);
  // 4. DONT-FRAGMENT cannot be honoured with Node's sockets: it is not understood, and 420 was the answer already.
  // 5.-9. RESERVATION-TOKEN, EVEN-PORT, the address families and what excludes what.
  const family = message.bytes(ATTRIBUTE.requestedAddressFamily);
  const additional = message.bytes(ATTRIBUTE.additionalAddressFamily);
  const wish = readPortWish(message);
  if (wish === undefined) return fail(400);
  if (wish.kind === 'reserved' && (family !== undefined || additional !== undefined)) return fail(400);
  if (family !== undefined && additional !== undefined) return fail(400);
  if (family !== undefined && family.length !== 4) return fail(400);
  if (family !== undefined && family[0] !== ADDRESS_FAMILY.ipv4) return fail(440);
  if (additional !== undefined && (additional.length !== 4 || additional[0] !== ADDRESS_FAMILY.ipv6)) return fail(400);
  if (additional !== undefined && wish.kind === 'even' && wish.reserveNext) return fail(400);
  const requestedSec = message.uint32(ATTRIBUTE.lifetime);
  if (message.has(ATTRIBUTE.lifetime) && requestedSec === undefined) return fail(400);
  // A draining server takes nobody new.
  if (context.draining) return fail(508);
  // 10. Quota of the tenant and of the username.
  if (!tenant.quota.take(username)) return fail(486);

  client.allocating = true;
  let bound: { port: RelayPort; token: Buffer | undefined } | undefined;
  try {
    bound = await bindRelayPort(request, wish, context);
  } finally {
    client.allocating = false;
    if (bound === undefined) tenant.quota.release(username);
  }
  if (bound === undefined) return fail(508);
  // Binding took a moment: the world may have changed.
  if (tenant.detached || context.draining || !client.open || !tenant.ports.contains(bound.port.port)) {
    await bound.port.close();
    tenant.ports.release(bound.port.port);
    tenant.quota.release(username);
    return fail(tenant.detached ? 403 : 508);
  }

  const lifetimeSec = grantedLifetimeSec(requestedSec, context);
  const allocation = new Allocation({
    id: context.nextAllocationId(),
    namespace: tenant.namespace,
    username,
    key,
    client,
    port: bound.port,
    lifetimeSec,
    clock: context.clock,
    logger: context.logger,
    onClosed: (ended, reason) => {
      tenant.allocations.delete(ended);
      tenant.ports.release(ended.port.port);
      tenant.quota.release(username);
      context.allocationClosed(ended, reason);
    },
  });
  tenant.allocations.add(allocation);
  client.attach(allocation);
  context.allocationOpened(allocation);

  const { port, token } = bound;
  return success(message, key, (writer) => {
    writer.address(ATTRIBUTE.xorRelayedAddress, port.address, port.port);
    writer.uint32(ATTRIBUTE.lifetime, lifetimeSec);
    if (token !== undefined) writer.bytes(ATTRIBUTE.reservationToken, token);
    writer.address(ATTRIBUTE.xorMappedAddress, client.remoteAddress, client.remotePort);
    // An IPv6 relay address beside the IPv4 one was wanted and is not to be had (RFC 8656 section 18.9).
    if (additional !== undefined)
      writer.bytes(ATTRIBUTE.addressErrorCode, Buffer.from([ADDRESS_FAMILY.ipv6, 0, 4, 40]));
    writer.text(ATTRIBUTE.software, SOFTWARE);
  });
}

/** Undefined when the attributes are malformed or exclude each other. */
function readPortWish(message: StunMessage): PortWish | undefined {
  const evenPort = message.bytes(ATTRIBUTE.evenPort);
  const token = message.bytes(ATTRIBUTE.reservationToken);
  if (token !== undefined) {
    return evenPort === undefined && token.length === 8 ? { kind: 'reserved', token } : undefined;
  }
  if (evenPort === undefined) return { kind: 'any' };
  return evenPort.length === 1 ? { kind: 'even', reserveNext: ((evenPort[0] as number) & 0x80) !== 0 } : undefined;
}

/** Takes a port of the tenant's block and binds it; another one when a foreign process has it. */
async function bindRelayPort(
  { client, identity: { tenant } }: TurnRequest,
  wish: PortWish,
  context: ServerContext,
): Promise<{ port: RelayPort; token: Buffer | undefined } | undefined> {
  const unusable: number[] = [];
  try {
    for (let attempt = 0; attempt < BIND_ATTEMPTS; attempt++) {
      const number = takePort();
      if (number === undefined) return undefined;
      try {
        const port = await context.relay.open({ address: tenant.relayAddress, port: number, client });
        const pair = wish.kind === 'even' && wish.reserveNext;
        return { port, token: pair ? tenant.reserve(number + 1, context.clock.monotonic()) : undefined };
      } catch (thrown) {
        unusable.push(number);
        if (wish.kind === 'even' && wish.reserveNext) unusable.push(number + 1);
        const inUse = (thrown as NodeJS.ErrnoException).code === 'EADDRINUSE';
        context.logger.warn(
          { ns: tenant.namespace, relayAddress: tenant.relayAddress, relayPort: number, err: describeError(thrown) },
          'relay port cannot be bound',
        );
        if (!inUse || wish.kind === 'reserved') return undefined;
      }
    }
    return undefined;
  } finally {
    for (const port of unusable) tenant.ports.release(port);
  }

  function takePort(): number | undefined {
    if (wish.kind === 'reserved') return tenant.redeem(wish.token, context.clock.monotonic());
    if (wish.kind === 'any') return tenant.ports.take();
    return wish.reserveNext ? tenant.ports.takePair() : tenant.ports.takeEven();
  }
}
