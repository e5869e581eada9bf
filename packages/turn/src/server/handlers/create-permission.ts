import type { PermittedHost } from '../../relay/relay.ts';
import { ATTRIBUTE } from '../../stun/index.ts';
import type { ServerContext, TurnRequest } from '../context.ts';
import { failure, success } from '../replies.ts';

/** CreatePermission (RFC 8656 section 10.2): all of the addresses, or none of them. */
export function handleCreatePermission({ message, client, identity }: TurnRequest, context: ServerContext): Buffer {
  const allocation = client.allocation;
  if (allocation === undefined) return failure(message, 437, identity.key);
  const peers = message.addresses(ATTRIBUTE.xorPeerAddress);
  if (peers.length === 0) return failure(message, 400, identity.key);

  const hosts: PermittedHost[] = [];
  let familyMismatch = false;
  for (const peer of peers) {
    if (peer === undefined) return failure(message, 400, identity.key);
    const verdict = identity.tenant.policy.judge(peer.address);
    if (!verdict.allowed) {
      context.refusals.refused({
        namespace: allocation.namespace,
        alloc: allocation.id,
        address: peer.address,
        rule: verdict.rule,
        method: 'CreatePermission',
      });
      return failure(message, 403, identity.key);
    }
    familyMismatch ||= peer.family !== 4;
    hosts.push(verdict.host);
  }
  if (familyMismatch) return failure(message, 443, identity.key);
  if (!allocation.permissions.hasRoomFor(hosts.map((host) => host.address))) return failure(message, 508, identity.key);

  const nowMs = context.clock.monotonic();
  for (const host of hosts) allocation.permissions.install(host, nowMs);
  return success(message, identity.key);
}
