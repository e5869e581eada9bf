import { z } from 'zod';
import { freeJsonSchema } from '../free-json.ts';
import { nodeIdSchema } from '../names.ts';
import { leaveReasonSchema, participantSchema, trackInfoSchema } from '../signalling/frames.ts';

/**
 * Between two SFUs that serve one room: JSON frames on a WebSocket to the home's signalling port, opened with a ticket
 * that has `link`, and one PeerConnection between their WireGuard addresses. Both ends say the same things: whatever is
 * at one end and did not come from the other.
 */
const peerId = participantSchema.shape.peerId;
const trackId = trackInfoSchema.shape.trackId;
const ssrc = z.int().min(1).max(0xffffffff);
const payloadType = z.int().min(0).max(127);
const pixels = z.int().nonnegative();

const codec = z.object({
  name: z.string().max(32),
  clockRate: z.int().positive(),
  channels: z.int().positive(),
  payloadType,
  fmtp: z.string().max(1024),
  rtxPayloadType: payloadType.optional(),
  /** Equal for codecs that one decoder configuration plays. */
  key: z.string().max(256),
});

/** One RTP stream of a track on the link: the whole of it, or one simulcast layer. */
const encoding = z.object({
  rid: z.string().max(16).optional(),
  ssrc,
  rtxSsrc: ssrc,
  /** 0 until it is known. */
  width: pixels,
  height: pixels,
  /** 0 when the publisher did not tell. */
  maxBitrate: z.number().nonnegative(),
});
export type LinkEncoding = z.infer<typeof encoding>;

export const linkFrameSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('offer'), sdp: z.string() }),
  z.object({ type: z.literal('answer'), sdp: z.string() }),
  /** A peer has joined, or says something else of itself. */
  z.object({
    type: z.literal('peer'),
    ...participantSchema.omit({ tracks: true }).shape,
    identity: z.string().min(1).max(256),
    /** Whose SFU it is connected to. */
    node: nodeIdSchema,
  }),
  z.object({ type: z.literal('peer-gone'), peerId, reason: leaveReasonSchema }),
  /** A peer publishes a track, or something of it has changed. Its streams keep their SSRCs. */
  z.object({
    type: z.literal('track'),
    peerId,
    ...trackInfoSchema.omit({ codec: true, layers: true }).shape,
    /** Muted by the namespace. */
    forced: z.boolean(),
    /** The one that is sent now comes first. */
    codecs: z.array(codec).min(1).max(16),
    encodings: z.array(encoding).min(1).max(4),
  }),
  z.object({ type: z.literal('track-gone'), trackId }),
  /** Everything that was there has been told. */
  z.object({ type: z.literal('synced') }),
  /** Streams of a video track that somebody watches there, by rid ('' for an only one): no other is sent. */
  z.object({ type: z.literal('demand'), trackId, rids: z.array(z.string().max(16)).max(4) }),
  /** Somebody there cannot decode what a publisher here sends. */
  z.object({ type: z.literal('not-decoded'), trackId, codec: z.string().max(256) }),
  z.object({ type: z.literal('data'), from: peerId, to: peerId.optional(), data: freeJsonSchema }),
  /** Of the home: a peer that was announced to it may not be in the room. */
  z.object({ type: z.literal('refuse'), peerId, code: z.enum(['room_full', 'forbidden']), message: z.string() }),
  z.object({ type: z.literal('kick'), peerId, reason: z.string() }),
  z.object({ type: z.literal('mute'), peerId, muted: z.boolean(), kind: z.enum(['audio', 'video']).optional() }),
  /** The home is going down: clients should reconnect within the time. */
  z.object({ type: z.literal('draining'), timeoutMs: z.int().nonnegative() }),
]);
export type LinkFrame = z.infer<typeof linkFrameSchema>;
export type LinkFrameOf<T extends LinkFrame['type']> = Extract<LinkFrame, { type: T }>;
