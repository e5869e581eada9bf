import { z } from 'zod';
import { nodeIdSchema, roomIdSchema } from '../names.ts';
import { participantSchema } from '../signalling/frames.ts';

/**
 * Room commands from gateway and controlplane to an SFU, signed HTTP on its signalling port:
 * `GET /rooms`, `DELETE /rooms?room=`, `POST /rooms/kick`, `POST /rooms/mute`.
 */
export const sfuRoomSchema = z.object({
  room: roomIdSchema,
  participants: z.array(
    participantSchema.extend({
      identity: z.string(),
      /** Whose SFU it is connected to, where several serve the room. */
      node: nodeIdSchema.optional(),
    }),
  ),
  tracks: z.int().nonnegative(),
  createdAt: z.string(),
  /** Last join, leave or publish; ISO 8601. */
  lastActivity: z.string(),
});
export type SfuRoom = z.infer<typeof sfuRoomSchema>;
export const sfuRoomListSchema = z.object({ rooms: z.array(sfuRoomSchema) });

export const sfuKickSchema = z.strictObject({
  room: roomIdSchema,
  peerId: z.string(),
  reason: z.string().max(256).default('removed from the room by the namespace'),
  /** How long the identity stays out, in seconds. */
  banSec: z.int().nonnegative(),
});
export const sfuMuteSchema = z.strictObject({
  room: roomIdSchema,
  peerId: z.string(),
  muted: z.boolean(),
  kind: z.enum(['audio', 'video']).optional(),
});
/** Answer of kick, mute and close. */
export const sfuAffectedSchema = z.object({ affected: z.int().nonnegative() });

/** `GET /healthz` of an SFU; unsigned, WireGuard only. */
export const sfuHealthSchema = z.object({
  /** `busy`: peers in rooms are served, others are turned away, and new rooms should be opened elsewhere. */
  status: z.enum(['ok', 'busy', 'draining']),
  namespace: z.string(),
  node: z.string(),
  rooms: z.int().nonnegative(),
  peers: z.int().nonnegative(),
  /** Generation of the namespace's configuration the process runs with. */
  generation: z.int().nonnegative(),
});
export type SfuHealth = z.infer<typeof sfuHealthSchema>;
