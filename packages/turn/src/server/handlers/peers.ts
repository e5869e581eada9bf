import { describeError } from '@orama/core';
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
  try {
    for (const host of hosts) await allocation.reach(host);
  } catch (thrown) {
    context.logger.warn(
      {
        ns: allocation.namespace,
        alloc: allocation.id,
        relayPort: allocation.port.port,
        relayAddresses: hosts.map((host) => host.source),
        err: describeError(thrown),
      },
      'relay port cannot be bound',
    );
    return allocation.closed ? 437 : 508;
  }
  if (allocation.closed) return 437;
  if (hosts.some((host) => !allocation.has(familyOf(host.address)))) return 443;
  return tenant.policy === policy ? undefined : 508;
}
