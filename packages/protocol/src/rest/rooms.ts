import { z } from 'zod';
import { freeObjectSchema } from '../free-json.ts';
import { MAX_PARTICIPANTS_LIMIT, MAX_SPEAKERS_LIMIT } from '../limits.ts';
import { nodeIdSchema, roomIdSchema } from '../names.ts';
import { participantSchema } from '../signalling/frames.ts';

/** Body of `POST /v1/webrtc/rooms`. */
export const createRoomSchema = z.strictObject({
  room_id: roomIdSchema,
  max_participants: z.int().min(1).max(MAX_PARTICIPANTS_LIMIT).optional(),
  /** Only the audio of so many loudest publishers is forwarded; without it everybody's is. */
  max_speakers: z.int().min(1).max(MAX_SPEAKERS_LIMIT).optional(),
  /** Clients go to the least busy SFU of the namespace, on whatever node: for rooms larger than one SFU. */
  spread: z.boolean().optional(),
  /** Readable by everybody who joins. */
  metadata: freeObjectSchema.optional(),
});
export type CreateRoom = z.infer<typeof createRoomSchema>;

/** One room of `GET /v1/webrtc/rooms`. */
export const roomSchema = z.object({
  room_id: roomIdSchema,
  /** The node whose SFU holds the room; null before anybody joined. */
  node: nodeIdSchema.nullable(),
  participants: z.int().nonnegative(),
  tracks: z.int().nonnegative(),
  max_participants: z.int(),
  /** Null where everybody's audio is forwarded. */
  max_speakers: z.int().nullable(),
  spread: z.boolean(),
  /** The nodes whose SFUs serve somebody in it, with how many. */
  nodes: z.array(z.object({ node: nodeIdSchema, participants: z.int().positive() })),
  metadata: freeObjectSchema.optional(),
  /** ISO 8601. */
  created_at: z.string(),
});
export type Room = z.infer<typeof roomSchema>;
export const roomListSchema = z.object({ rooms: z.array(roomSchema) });

/** Answer of `GET /v1/webrtc/rooms/<id>/participants`. */
export const participantListSchema = z.object({
  participants: z.array(
    participantSchema.extend({
      /** Whose SFU it is connected to. */
      node: nodeIdSchema.optional(),
    }),
  ),
});
export type ParticipantList = z.infer<typeof participantListSchema>;

/** Body of `POST /v1/webrtc/rooms/<id>/participants/<peer>/mute`. */
export const mutePeerSchema = z.strictObject({ muted: z.boolean(), kind: z.enum(['audio', 'video']).optional() });
export type MutePeer = z.infer<typeof mutePeerSchema>;
/** Its answer: how many tracks changed. */
export const mutedPeerSchema = z.object({ affected: z.int().nonnegative() });
