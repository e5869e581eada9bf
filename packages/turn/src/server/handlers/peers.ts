import type { PermittedHost } from '../../relay/relay.ts';
import { familyOf } from '../../stun/index.ts';
import type { ServerContext, TurnRequest } from '../context.ts';

/**
 * Opens the sockets that judged hosts are reached from. Returns the code of the error when one cannot be opened, or
 * when the allocation or the policy is not what it was before that.
 */
export async function reachAll(
  { client, identity: { tenant } }: TurnRequest,
  hosts: readonly PermittedHost[],
  context: ServerContext,
): Promise<437 | 443 | 508 | undefined> {
  const { allocation } = client;
  const { policy } = tenant;
  if (allocation === undefined) return 437;
  for (const host of hosts) {
    try {
      await allocation.reach(host);
    } catch (thrown) {
      context.allocations.notBound(allocation.namespace, host.source, allocation.port.port, thrown);
      return allocation.closed ? 437 : 508;
    }
  }
  if (allocation.closed) return 437;
  if (hosts.some((host) => !allocation.has(familyOf(host.address)))) return 443;
  return tenant.policy === policy ? undefined : 508;
}
