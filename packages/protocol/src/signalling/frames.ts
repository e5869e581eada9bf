import { z } from 'zod';
import { freeJsonSchema, freeObjectSchema } from '../free-json.ts';
import { turnCredentialsSchema } from '../ice-servers.ts';
import { PICTURE_MAX_PIXELS } from '../limits.ts';
import { roomIdSchema } from '../names.ts';

export const trackKindSchema = z.enum(['audio', 'video']);
/** Where a track comes from; clients may send other short words. */
export const trackSourceSchema = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/);
const displayNameSchema = z.string().max(128);
const midSchema = z.string().min(1).max(32);
const idSchema = z.string().min(1).max(64);

const ridSchema = z.string().regex(/^[A-Za-z0-9_-]{1,16}$/);
const ssrcSchema = z.int().min(1).max(0xffffffff);
const pixelsSchema = z.int().min(1).max(PICTURE_MAX_PIXELS);
const bitrateSchema = z.number().nonnegative();

/** One simulcast layer of a published video track (RFC 8853), from the smallest up. */
export const trackLayerSchema = z.object({
  rid: ridSchema,
  /** Size in pixels, once it is known: told by the publisher or read from a key frame. */
  width: pixelsSchema.optional(),
  height: pixelsSchema.optional(),
});
export type TrackLayer = z.infer<typeof trackLayerSchema>;

/**
 * What a subscriber gets of a track: its packets (`flowing`), or why not: its path has no room for it (`no-bandwidth`), it
 * switched the track off (`disabled`), it cannot decode the publisher's codec (`unsupported-codec`), or the room forwards
 * louder speakers only (`not-a-speaker`).
 */
export const deliverySchema = z.enum(['flowing', 'no-bandwidth', 'disabled', 'unsupported-codec', 'not-a-speaker']);
export type Delivery = z.infer<typeof deliverySchema>;

/** A published track as others see it. */
export const trackInfoSchema = z.object({
  trackId: idSchema,
  kind: trackKindSchema,
  source: trackSourceSchema.optional(),
  muted: z.boolean(),
  /** Name of the codec the publisher sends, as in `a=rtpmap`, for example `VP8`. */
  codec: z.string().max(32).optional(),
  /** Only of a track with several layers. */
  layers: z.array(trackLayerSchema).max(4).optional(),
});
export type TrackInfo = z.infer<typeof trackInfoSchema>;

/** What a credential lets its holder do in a room. */
export const roomPermissionsSchema = z.object({
  /** Send tracks. */
  publish: z.boolean(),
  /** Receive the tracks of others. */
  subscribe: z.boolean(),
  /** Send `data` frames and open data channels; everybody may receive them. */
  data: z.boolean(),
});
export type RoomPermissions = z.infer<typeof roomPermissionsSchema>;

export const participantSchema = z.object({
  peerId: idSchema,
  name: displayNameSchema.optional(),
  metadata: freeObjectSchema.optional(),
  tracks: z.array(trackInfoSchema),
});
export type Participant = z.infer<typeof participantSchema>;

const offer = z.object({
  type: z.literal('offer'),
  sdp: z.string(),
  /**
   * Client → SFU only: what the sent tracks are, by `mid`: the source word and whether the track starts muted.
   * Tracks not listed are announced without a source.
   */
  tracks: z
    .array(z.object({ mid: midSchema, source: trackSourceSchema.optional(), muted: z.boolean().optional() }))
    .max(64)
    .optional(),
});
const answer = z.object({ type: z.literal('answer'), sdp: z.string() });
const iceCandidate = z.object({
  type: z.literal('ice-candidate'),
  /** Candidate line without `a=`; empty for end-of-candidates. */
  candidate: z.string().max(1024),
  sdpMid: z.string().max(32).nullish(),
  sdpMLineIndex: z.int().min(0).max(1024).nullish(),
  usernameFragment: z.string().max(256).nullish(),
});
const ping = z.object({ type: z.literal('ping'), id: z.union([z.string().max(64), z.number()]).optional() });
const pong = z.object({ type: z.literal('pong'), id: z.union([z.string().max(64), z.number()]).optional() });

/** Frames a client may send, told apart by `type`. */
export const clientFrameSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('join'),
    room: roomIdSchema.optional(),
    name: displayNameSchema.optional(),
    metadata: freeObjectSchema.optional(),
    /** Resume token of an earlier `welcome`. */
    resume: z.string().max(256).optional(),
    /** False: no data channels of others are wanted, and the SFU offers no m-line for them. */
    channels: z.boolean().optional(),
  }),
  offer,
  answer,
  iceCandidate,
  z.object({ type: z.literal('leave') }),
  /** The client's own mute or unmute of a track it publishes. */
  z.object({ type: z.literal('track-state'), trackId: idSchema, muted: z.boolean() }),
  z.object({
    type: z.literal('subscribe'),
    trackId: idSchema,
    enabled: z.boolean(),
    /** Highest simulcast layer wanted, 0 for the smallest. */
    maxLayer: z.int().min(0).max(8).optional(),
    /** Pixels the picture is shown at: no layer larger than needed to fill them is sent. */
    maxWidth: pixelsSchema.optional(),
    maxHeight: pixelsSchema.optional(),
    maxFps: z.number().positive().max(240).optional(),
    /** Tracks of a higher priority get bandwidth first; 100 unless set, audio always comes before video. */
    priority: z.int().min(0).max(255).optional(),
  }),
  /**
   * The layers of a track that this client publishes, from the smallest up. Optional: the SFU also finds them by the offer
   * and by the packets, but then knows sizes and order only after the first key frames.
   */
  z.object({
    type: z.literal('track-layers'),
    mid: midSchema,
    layers: z
      .array(
        trackLayerSchema.extend({
          ssrc: ssrcSchema.optional(),
          rtxSsrc: ssrcSchema.optional(),
          /** In bit/s, as the client's encoder was told. */
          maxBitrate: bitrateSchema.optional(),
        }),
      )
      .min(1)
      .max(4),
  }),
  /** Replaces what the others see of this peer; what is left out stays as it is. */
  z.object({
    type: z.literal('peer-state'),
    name: displayNameSchema.optional(),
    metadata: freeObjectSchema.optional(),
  }),
  /** JSON for the room, or for one peer when `to` is given. */
  z.object({ type: z.literal('data'), to: idSchema.optional(), data: freeJsonSchema }),
  ping,
  pong,
]);
export type ClientFrame = z.infer<typeof clientFrameSchema>;

/** Why a peer left. */
export const leaveReasonSchema = z.enum([
  'left',
  'timeout',
  'media-failed',
  'kicked',
  'room-closed',
  'draining',
  'replaced',
  'protocol-error',
]);
export type LeaveReason = z.infer<typeof leaveReasonSchema>;

const trackAnnouncement = { peerId: idSchema, ...trackInfoSchema.shape };

/** Frames the SFU sends. */
export const serverFrameSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('welcome'),
    peerId: idSchema,
    room: roomIdSchema,
    /** The others, without the joiner itself, in order of joining. */
    participants: z.array(participantSchema),
    resumeToken: z.string(),
    /** True when an earlier peer was resumed: its media goes on and nothing is negotiated anew. */
    resumed: z.boolean(),
    /** The room's own, from its creation by REST. */
    roomMetadata: freeObjectSchema.optional(),
    permissions: roomPermissionsSchema,
    limits: z.object({
      maxParticipants: z.int(),
      maxTracks: z.int(),
      frameBytes: z.int(),
      descriptionBytes: z.int(),
      maxChannels: z.int(),
      channelMessageBytes: z.int(),
    }),
    /** False only where the namespace lets clients send without TURN. */
    forceRelay: z.boolean(),
  }),
  turnCredentialsSchema.extend({ type: z.literal('turn-credentials') }),
  turnCredentialsSchema.extend({ type: z.literal('refresh-credentials') }),
  offer,
  answer,
  iceCandidate,
  z.object({
    type: z.literal('peer-joined'),
    peerId: idSchema,
    name: displayNameSchema.optional(),
    metadata: freeObjectSchema.optional(),
  }),
  /** A peer changed its name or metadata; both as they are now. */
  z.object({
    type: z.literal('peer-updated'),
    peerId: idSchema,
    name: displayNameSchema.optional(),
    metadata: freeObjectSchema.optional(),
  }),
  z.object({ type: z.literal('peer-left'), peerId: idSchema, reason: leaveReasonSchema }),
  /** A track can be received; `mid` names the m-line it will arrive on once that is negotiated. The publisher gets it too (own peerId, own mid). */
  z.object({ type: z.literal('track-added'), mid: midSchema, ...trackAnnouncement }),
  z.object({ type: z.literal('track-removed'), peerId: idSchema, trackId: idSchema, kind: trackKindSchema }),
  z.object({
    type: z.literal('track-updated'),
    ...trackAnnouncement,
    forced: z.boolean().optional(),
    /** To a subscriber only: what it gets of the track. Absent: as before. */
    delivery: deliverySchema.optional(),
  }),
  /** To a publisher: the layers of its track that somebody watches. Encodings of all others should be inactive until told again. */
  z.object({ type: z.literal('send-layers'), trackId: idSchema, mid: midSchema, rids: z.array(ridSchema).max(4) }),
  /** Who speaks, loudest first; whenever that changes. `level` is 0 (silence) to 1. */
  z.object({
    type: z.literal('active-speakers'),
    speakers: z.array(z.object({ peerId: idSchema, trackId: idSchema, level: z.number().min(0).max(1) })),
  }),
  /** How the subscriber's media goes, every two seconds while it receives something. */
  z.object({
    type: z.literal('quality'),
    /** What the path to the client takes in the SFU's estimate, in bit/s; absent until there is one. */
    availableBitrate: bitrateSchema.optional(),
    /** Of the client's path, in milliseconds. */
    rttMs: z.number().nonnegative().optional(),
    tracks: z.array(
      z.object({
        trackId: idSchema,
        delivery: deliverySchema,
        /** Index of the layer that is sent, 0 for the smallest. */
        layer: z.int().nonnegative().optional(),
        /** Sent to this subscriber in the last interval, in bit/s. */
        bitrate: bitrateSchema,
        /** Share of packets the subscriber reported lost, 0 to 1. */
        loss: z.number().min(0).max(1),
      }),
    ),
  }),
  z.object({ type: z.literal('data'), from: idSchema, to: idSchema.optional(), data: freeJsonSchema }),
  z.object({ type: z.literal('kicked'), code: z.string(), reason: z.string() }),
  z.object({ type: z.literal('room-closed'), code: z.string(), reason: z.string() }),
  z.object({ type: z.literal('server-draining'), reason: z.string(), timeoutMs: z.int().nonnegative() }),
  ping,
  pong,
  z.object({
    type: z.literal('error'),
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    requestId: z.string().optional(),
  }),
]);
export type ServerFrame = z.infer<typeof serverFrameSchema>;

/** The frame of one `type`. */
export type ClientFrameOf<T extends ClientFrame['type']> = Extract<ClientFrame, { type: T }>;
export type ServerFrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

/** WebSocket close codes of signalling. */
export const SIGNALLING_CLOSE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  tooBig: 1009,
  badCredential: 4001,
  notAllowed: 4003,
  noSuchRoom: 4004,
  rateLimited: 4008,
  moved: 4013,
} as const;

/** Codes of signalling `error` frames. */
export const SIGNALLING_ERRORS = [
  'invalid_message',
  'invalid_join',
  'room_mismatch',
  'room_full',
  'no_such_room',
  'room_closed',
  'invalid_offer',
  'invalid_answer',
  'invalid_candidate',
  'invalid_state',
  'unknown_message',
  'unknown_track',
  'unknown_peer',
  'too_many_tracks',
  'too_many_channels',
  'channel_overflow',
  'channel_rate_limited',
  'rate_limited',
  'frame_too_large',
  'unauthorized',
  'forbidden',
  'webrtc_not_enabled',
  'sfu_unavailable',
  'capacity',
  'draining',
  'media_failed',
  'internal',
] as const;
export type SignallingErrorCode = (typeof SIGNALLING_ERRORS)[number];

/** WebSocket subprotocol of the enveloped dialect (`{type, data}`, `participant-joined`, `participant-left`). */
export const ENVELOPE_SUBPROTOCOL = 'orama-envelope';
