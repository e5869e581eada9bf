import { ATTRIBUTE, CHANNEL_MAX, CHANNEL_MIN } from '../../stun/index.ts';
import type { ServerContext, TurnRequest } from '../context.ts';
import { failure, success } from '../replies.ts';

/** ChannelBind (RFC 8656 section 12.2): a number for a peer, and a permission for its address. */
export function handleChannelBind({ message, client, identity }: TurnRequest, context: ServerContext): Buffer {
  const allocation = client.allocation;
  const fail = (code: number) => failure(message, code, identity.key);
  if (allocation === undefined) return fail(437);
  const channelValue = message.uint32(ATTRIBUTE.channelNumber);
  const peer = message.address(ATTRIBUTE.xorPeerAddress);
  if (channelValue === undefined || peer === undefined || peer.port === 0) return fail(400);
  const channel = channelValue >>> 16;
  if (channel < CHANNEL_MIN || channel > CHANNEL_MAX) return fail(400);

  const verdict = identity.tenant.policy.judgeEndpoint(peer.address, peer.port);
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
  if (peer.family !== 4) return fail(443);
  if (allocation.channels.conflicts(channel, peer.address, peer.port)) return fail(400);
  if (!allocation.permissions.hasRoomFor([peer.address])) return fail(508);

  const nowMs = context.clock.monotonic();
  allocation.permissions.install(verdict.host, nowMs);
  allocation.channels.bind(channel, peer.address, peer.port, nowMs);
  return success(message, identity.key);
}
