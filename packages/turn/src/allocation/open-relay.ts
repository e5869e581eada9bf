import { describeError } from '@orama/core';
import type { ClientSink, RelayPort } from '../relay/relay.ts';
import type { ServerContext } from '../server/context.ts';
import type { AddressFamily } from '../stun/index.ts';
import type { Tenant } from '../tenant/tenant.ts';
import type { RelayAddress } from './allocation.ts';

/** Port numbers tried before an Allocate is refused, when other processes sit on ports of the block. */
const BIND_ATTEMPTS = 16;

/** What EVEN-PORT and RESERVATION-TOKEN ask for (RFC 8656 sections 18.5 and 18.9). */
export type PortWish =
  | { readonly kind: 'any' }
  | { readonly kind: 'even'; readonly reserveNext: boolean }
  | { readonly kind: 'reserved'; readonly token: Buffer };

/** A relay port of a tenant's block, bound to the relay addresses that were to be had. */
export interface OpenedRelay {
  readonly port: RelayPort;
  readonly addresses: readonly RelayAddress[];
  /** Promises the next port when EVEN-PORT asked for that. */
  readonly token: Buffer | undefined;
}

/** The tenant's relay address of a family, if it has one. */
export function relayAddressOf(tenant: Tenant, family: AddressFamily): string | undefined {
  return family === 4 ? tenant.relay.address : tenant.relay.address6;
}

/**
 * Takes a port number of the tenant's block and binds it on its relay address of every family asked for; another
 * number when a foreign process has it. At least one address is bound, or the result is undefined.
 */
export async function openRelay(
  options: { tenant: Tenant; client: ClientSink; wish: PortWish; families: readonly AddressFamily[] },
  context: ServerContext,
): Promise<OpenedRelay | undefined> {
  const { tenant, client, wish } = options;
  const unusable: number[] = [];
  try {
    for (let attempt = 0; attempt < BIND_ATTEMPTS; attempt++) {
      const taken = takePort();
      if (taken === undefined) return undefined;
      const { number, families } = taken;
      const opened = await bindAll(number, families);
      const pair = wish.kind === 'even' && wish.reserveNext;
      if (opened.port !== undefined) {
        const family = families[0] ?? 4;
        const token = pair ? tenant.reserve(number + 1, family, context.clock.monotonic()) : undefined;
        return { port: opened.port, addresses: opened.addresses, token };
      }
      unusable.push(number);
      if (pair) unusable.push(number + 1);
      if (!opened.inUse || wish.kind === 'reserved') return undefined;
    }
    return undefined;
  } finally {
    for (const port of unusable) tenant.ports.release(port);
  }

  function takePort(): { number: number; families: readonly AddressFamily[] } | undefined {
    if (wish.kind === 'reserved') {
      const reserved = tenant.redeem(wish.token, context.clock.monotonic());
      return reserved && { number: reserved.port, families: [reserved.family] };
    }
    const number =
      wish.kind === 'any' ? tenant.ports.take() : wish.reserveNext ? tenant.ports.takePair() : tenant.ports.takeEven();
    return number === undefined ? undefined : { number, families: options.families };
  }

  async function bindAll(number: number, families: readonly AddressFamily[]) {
    const addresses: RelayAddress[] = [];
    let port: RelayPort | undefined;
    let inUse = false;
    for (const family of families) {
      const local = relayAddressOf(tenant, family);
      if (local === undefined) continue;
      try {
        if (port === undefined) port = await context.relay.open({ address: local, port: number, client });
        else await port.bind(local);
        addresses.push({ local, told: context.external[local] ?? local });
      } catch (thrown) {
        inUse ||= (thrown as NodeJS.ErrnoException).code === 'EADDRINUSE';
        context.logger.warn(
          { ns: tenant.namespace, relayAddress: local, relayPort: number, err: describeError(thrown) },
          'relay port cannot be bound',
        );
      }
    }
    return { port, addresses, inUse };
  }
}
