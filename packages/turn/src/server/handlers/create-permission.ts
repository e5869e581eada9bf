import type { PermittedHost } from '../../relay/relay.ts';
import { ATTRIBUTE, familyOf, type TransportAddress } from '../../stun/index.ts';
import type { ServerContext, TurnRequest } from '../context.ts';
import { failure, success } from '../replies.ts';
import { reachAll } from './peers.ts';

/** CreatePermission (RFC 8656 section 10.2): all of the addresses, or none of them. */
export async function handleCreatePermission(request: TurnRequest, context: ServerContext): Promise<Buffer> {
  const { message, client, identity } = request;
  const allocation = client.allocation;
  const fail = (code: number) => failure(message, code, identity.key);
  if (allocation === undefined) return fail(437);

  // 1. At least one peer, all of them well formed.
  const peers = new Map<string, TransportAddress>();
  for (const peer of message.addresses(ATTRIBUTE.xorPeerAddress)) {
    if (peer === undefined) return fail(400);
    peers.set(peer.address, peer);
  }
  if (peers.size === 0) return fail(400);
  // 2. Of families that the allocation has, and no more of them than it has room for: to judge an address takes long.
  for (const { family } of peers.values()) if (!allocation.has(family)) return fail(443);
  if (!allocation.permissions.hasRoomFor([...peers.keys()])) return fail(508);
  // 3. The tenant's policy allows them. An IPv4-mapped address is judged as what it carries, and has the wrong family.
  const hosts: PermittedHost[] = [];
  for (const peer of peers.values()) {
    const verdict = identity.tenant.policy.judge(peer.address, allocation.relayed);
    if (!verdict.allowed) {
      context.refusals.refused({
        namespace: allocation.namespace,
        alloc: allocation.id,
        address: peer.address,
        rule: verdict.rule,
        method: 'CreatePermission',
      });
      return fail(403);
    }
    if (familyOf(verdict.host.address) !== peer.family) return fail(443);
    hosts.push(verdict.host);
  }
  // 4. There is a socket to reach each from, and room. Other requests may have been faster while a socket was opened.
  const unreached = await reachAll(request, hosts, context);
  if (unreached !== undefined) return fail(unreached);
  if (!allocation.permissions.hasRoomFor(hosts.map((host) => host.address))) return fail(508);

  const nowMs = context.clock.monotonic();
  for (const host of hosts) allocation.permissions.install(host, nowMs);
  return success(message, identity.key);
}
