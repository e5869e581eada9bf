import { sourceKey } from '@orama/core';
import { Allocation, type AllocationOptions } from '../../allocation/allocation.ts';
import type { LeaseAnswer, PortWish } from '../../allocation/ledger.ts';
import { type OpenedRelay, openRelay, relayAddressOf } from '../../allocation/open-relay.ts';
import {
  type AddressFamily,
  ATTRIBUTE,
  addressErrorCode,
  familyOf,
  readAddressFamily,
  readEvenPort,
  readRequestedTransport,
  type StunMessage,
} from '../../stun/index.ts';
import type { Tenant } from '../../tenant/tenant.ts';
import { grantedLifetimeSec, type ServerContext, type TurnRequest } from '../context.ts';
import { type Fill, failure, success } from '../replies.ts';

const SOFTWARE = 'Orama TURN';

/** Allocate (RFC 8656 section 7.2). The sender is authenticated; the numbers are the RFC's steps. */
export async function handleAllocate(request: TurnRequest, context: ServerContext): Promise<Buffer> {
  const { message, client, identity } = request;
  const { tenant, username, secret, key } = identity;
  const fail = (code: number, fill?: Fill) => failure(message, code, key, fill);

  // 2. One allocation for a 5-tuple.
  if (client.allocation !== undefined || client.allocating) return fail(437);
  // 3. Only UDP is relayed.
  const transport = message.bytes(ATTRIBUTE.requestedTransport);
  const protocol = transport === undefined ? 'malformed' : readRequestedTransport(transport);
  if (protocol === 'malformed') return fail(400);
  if (protocol === 'other') return fail(442);
  // 4. DONT-FRAGMENT is not understood where the relay's sockets cannot set the DF bit.
  if (message.has(ATTRIBUTE.dontFragment) && !context.relay.canSetDf) {
    return fail(420, (writer) => writer.unknownAttributes([ATTRIBUTE.dontFragment]));
  }
  // 5.-9. RESERVATION-TOKEN, the address families, EVEN-PORT, and what excludes what.
  const wish = readPortWish(message);
  const families = readFamilies(message);
  if (wish === undefined || families === 400) return fail(400);
  if (families === 440) return fail(440);
  const named = message.has(ATTRIBUTE.requestedAddressFamily) || families.length > 1;
  if (wish.kind === 'reserved' && named) return fail(400);
  if (wish.kind === 'even' && wish.reserveNext && families.length > 1) return fail(400);
  if (families.every((family) => relayAddressOf(tenant, family) === undefined)) return fail(440);
  const requestedSec = message.uint32(ATTRIBUTE.lifetime);
  if (message.has(ATTRIBUTE.lifetime) && requestedSec === undefined) return fail(400);
  // A draining server takes nobody new, and says who does.
  if (context.draining) return fail(508, nameAlternate(request, context));
  // 10. Quota of the tenant, of the username and of the source, and a relay port.
  client.allocating = true;
  let answer: LeaseAnswer;
  let opened: OpenedRelay | undefined;
  try {
    answer = await tenant.lease({ username, source: sourceKey(client.remoteAddress), wish, family: families[0] ?? 4 });
    if (answer.ok) {
      const { lease } = answer;
      opened = await openRelay(
        { tenant, client, lease, families: wish.kind === 'reserved' ? [lease.family] : families },
        context,
      );
    }
  } finally {
    client.allocating = false;
  }
  if (!answer.ok) return fail(answer.code);
  const { lease } = answer;
  if (opened === undefined) {
    await tenant.release(lease.id);
    return fail(508);
  }
  const { port, addresses } = opened;
  // That took a moment: the world may have changed.
  const { relay } = tenant;
  const moved = addresses.some(({ local }) => local !== relay.address && local !== relay.address6);
  const revoked = tenant.detached || !tenant.secrets.includes(secret);
  if (revoked || context.draining || !client.open || moved || !tenant.hasPort(port.port)) {
    await port.close();
    await tenant.release(lease.id);
    return revoked ? fail(403) : fail(508);
  }

  const lifetimeSec = grantedLifetimeSec(requestedSec, context);
  const allocation = new Allocation({
    id: lease.id,
    namespace: tenant.namespace,
    username,
    secret,
    client,
    port,
    relayAddresses: addresses,
    settings: tenant,
    lifetimeSec,
    clock: context.clock,
    onClosed: onClosedOf(tenant, context),
  });
  tenant.opened(allocation);
  client.attach(allocation);
  context.allocationOpened(allocation);
  return success(message, key, (writer) => {
    for (const { told } of addresses) writer.address(ATTRIBUTE.xorRelayedAddress, told, port.port);
    // The second of two families is not to be had: not at all, or not just now.
    const missing = families.find((family) => families.length > 1 && !allocation.has(family));
    if (missing !== undefined) {
      const code = relayAddressOf(tenant, missing) === undefined ? 440 : 508;
      writer.bytes(ATTRIBUTE.addressErrorCode, addressErrorCode(missing, code));
    }
    writer.uint32(ATTRIBUTE.lifetime, lifetimeSec);
    if (lease.token !== undefined) writer.bytes(ATTRIBUTE.reservationToken, Buffer.from(lease.token, 'hex'));
    writer.address(ATTRIBUTE.xorMappedAddress, client.remoteAddress, client.remotePort);
    writer.text(ATTRIBUTE.software, SOFTWARE);
  });
}

/** Made apart from the request, whose bytes the allocation would otherwise keep alive for as long as it lives. */
function onClosedOf(tenant: Tenant, context: ServerContext): AllocationOptions['onClosed'] {
  return (ended, reason) => {
    const released = tenant.closed(ended);
    context.allocationClosed(ended, reason);
    return released;
  };
}

/** Undefined when the attributes are malformed or exclude each other. */
function readPortWish(message: StunMessage): PortWish | undefined {
  const evenPort = message.bytes(ATTRIBUTE.evenPort);
  const token = message.bytes(ATTRIBUTE.reservationToken);
  if (token !== undefined) {
    return evenPort === undefined && token.length === 8
      ? { kind: 'reserved', token: token.toString('hex') }
      : undefined;
  }
  if (evenPort === undefined) return { kind: 'any' };
  const even = readEvenPort(evenPort);
  return even && { kind: 'even', ...even };
}

/** The families asked for, IPv4 unless told otherwise; or the code of the error. Only IPv6 can be additional. */
function readFamilies(message: StunMessage): AddressFamily[] | 400 | 440 {
  const requested = message.bytes(ATTRIBUTE.requestedAddressFamily);
  const additional =
    message.bytes(ATTRIBUTE.additionalAddressFamily) ?? message.bytes(ATTRIBUTE.additionalAddressFamilyDraft);
  if (requested !== undefined) {
    const family = readAddressFamily(requested);
    if (additional !== undefined || family === 'malformed') return 400;
    return family === 'unknown' ? 440 : [family];
  }
  if (additional === undefined) return [4];
  return readAddressFamily(additional) === 6 ? [4, 6] : 400;
}

/** ALTERNATE-SERVER of the client's family and for its transport, and the tenant's domain as its name (RFC 8489 sections 14.15 and 14.16). */
function nameAlternate({ client, identity: { tenant } }: TurnRequest, context: ServerContext): Fill {
  const family = familyOf(client.remoteAddress);
  const alternates = tenant.alternates.flatMap(({ address, port, tlsPort }) => {
    const ofTls = tlsPort && (client.sharedPort ?? tlsPort);
    const suited = client.protocol === 'tls' ? ofTls : port;
    return familyOf(address) === family && suited !== undefined ? [{ address, port: suited }] : [];
  });
  // Clients spread over the alternates by their ports.
  const alternate = alternates[client.remotePort % alternates.length];
  return (writer) => {
    if (alternate === undefined) return;
    const address = context.external[alternate.address] ?? alternate.address;
    writer.plainAddress(ATTRIBUTE.alternateServer, address, alternate.port);
    if (tenant.domain !== undefined) writer.text(ATTRIBUTE.alternateDomain, tenant.domain);
  };
}
