import { ATTRIBUTE, CHANNEL_MAX, CHANNEL_MIN, familyOf, readChannelNumber } from '../../stun/index.ts';
import type { ServerContext, TurnRequest } from '../context.ts';
import { failure, success } from '../replies.ts';
import { reachAll } from './peers.ts';

/** ChannelBind (RFC 8656 section 12.2): a number for a peer, and a permission for its address. */
export async function handleChannelBind(request: TurnRequest, context: ServerContext): Promise<Buffer> {
  const { message, client, identity } = request;
  const allocation = client.allocation;
  const fail = (code: number) => failure(message, code, identity.key);
  if (allocation === undefined) return fail(437);

  // 1. Both attributes, a number of the right range.
  const number = message.bytes(ATTRIBUTE.channelNumber);
  const channel = number && readChannelNumber(number);
  const peer = message.address(ATTRIBUTE.xorPeerAddress);
  if (channel === undefined || peer === undefined || peer.port === 0) return fail(400);
  if (channel < CHANNEL_MIN || channel > CHANNEL_MAX) return fail(400);
  // 2. One number for a peer, one peer for a number.
  if (allocation.channels.conflicts(channel, peer.address, peer.port)) return fail(400);
  // 3. A peer of a family that the allocation has.
  if (!allocation.has(peer.family)) return fail(443);
  // 4. The tenant's policy allows it. An IPv4-mapped address is judged as what it carries, and has the wrong family.
  const verdict = identity.tenant.policy.judgeEndpoint(peer.address, peer.port, allocation.relayed);
  if (!verdict.allowed) {
    context.refusals.refused({
      namespace: allocation.namespace,
      alloc: allocation.id,
      address: peer.address,
      port: peer.port,
      rule: verdict.rule,
      method: 'ChannelBind',
    });
    return fail(403);
  }
  const { host } = verdict;
  if (familyOf(host.address) !== peer.family) return fail(443);
  // 5. There is a socket to reach it from, and room. Other requests may have been faster while the socket was opened.
  const unreached = await reachAll(request, [host], context);
  if (unreached !== undefined) return fail(unreached);
  if (allocation.channels.conflicts(channel, host.address, peer.port)) return fail(400);
  if (!allocation.permissions.hasRoomFor([host.address]) || !allocation.channels.hasRoomFor(channel)) return fail(508);

  const nowMs = context.clock.monotonic();
  allocation.permissions.install(host, nowMs);
  allocation.channels.bind(channel, host.address, peer.port, nowMs);
  return success(message, identity.key);
}
