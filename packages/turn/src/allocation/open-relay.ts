import type { ClientSink, RelayPort } from '../relay/relay.ts';
import type { ServerContext } from '../server/context.ts';
import type { AddressFamily } from '../stun/index.ts';
import type { Tenant } from '../tenant/tenant.ts';
import type { RelayAddress } from './allocation.ts';
import type { Lease } from './ledger.ts';

/** A relay port of a tenant's block, bound to the relay addresses that were to be had. */
export interface OpenedRelay {
  readonly port: RelayPort;
  readonly addresses: readonly RelayAddress[];
}

/** The tenant's relay address of a family, if it has one. */
export function relayAddressOf(tenant: Tenant, family: AddressFamily): string | undefined {
  return family === 4 ? tenant.relay.address : tenant.relay.address6;
}

/**
 * Binds a leased port on the tenant's relay address of every family asked for; another port of the block when a foreign
 * process has it. At least one address is bound, or the result is undefined.
 */
export async function openRelay(
  options: { tenant: Tenant; client: ClientSink; lease: Lease; families: readonly AddressFamily[] },
  context: ServerContext,
): Promise<OpenedRelay | undefined> {
  const { tenant, client, lease, families } = options;
  let number: number | undefined = lease.port;
  while (number !== undefined) {
    const { port, addresses, inUse } = await bindAll(number);
    if (port !== undefined) return { port, addresses };
    number = inUse ? await tenant.replacePort(lease.id) : undefined;
  }
  return undefined;

  async function bindAll(number: number) {
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
        context.allocations.notBound(tenant.namespace, local, number, thrown);
      }
    }
    return { port, addresses, inUse };
  }
}
