import { z } from 'zod';
import { freeObjectSchema } from '../free-json.ts';
import { DEFAULT_MAX_PARTICIPANTS, METADATA_MAX_BYTES } from '../limits.ts';
import { ipSchema, namespaceNameSchema, nodeIdSchema, portSchema, roomIdSchema } from '../names.ts';
import { roomPermissionsSchema } from '../signalling/frames.ts';

/** Header that carries the ticket from gateway to SFU. */
export const SFU_TICKET_HEADER = 'x-orama-sfu-ticket';

/** Longest ticket: base64 of the room's metadata, and room for the rest. */
export const SFU_TICKET_MAX_CHARACTERS = 2 * METADATA_MAX_BYTES;

/** HKDF info of a namespace's SFU secret, followed by `:` and its name; input key material is the cluster key. */
export const SFU_SECRET_INFO = 'webrtc-sfu-secret';

/** HKDF info string of the key that signs tickets and room commands; input key material is the namespace's SFU secret. */
export const SFU_CONTROL_KEY_INFO = 'webrtc-sfu-control';

/** The SFU that holds a room, by the room's row. */
export const roomHomeSchema = z.object({
  node: nodeIdSchema,
  address: ipSchema,
  signalingPort: portSchema,
  /** Of the row: the higher one is right where two disagree. */
  generation: z.int().nonnegative(),
});
export type RoomHome = z.infer<typeof roomHomeSchema>;

/** What the gateway vouches for when it opens a signalling socket to the SFU. */
export const sfuTicketSchema = z.object({
  ns: namespaceNameSchema,
  room: roomIdSchema,
  /** Stable identity of the caller, for kicks: the credential's id, not a name a user chose. */
  identity: z.string().min(1).max(256),
  permissions: roomPermissionsSchema.extend({ admin: z.boolean() }),
  /** Settings of the room from its row, so that the SFU needs no store. */
  maxParticipants: z.int().positive().default(DEFAULT_MAX_PARTICIPANTS),
  maxSpeakers: z.int().positive().nullable().default(null),
  roomMetadata: freeObjectSchema.optional(),
  /** Of a room that several SFUs may serve; without it the room is where the ticket is shown, and nowhere else. */
  home: roomHomeSchema.optional(),
  /** The socket is that of another SFU, on this node, that serves clients of the room. */
  link: nodeIdSchema.optional(),
  /** Unix seconds. */
  exp: z.int().positive(),
});
export type SfuTicket = z.infer<typeof sfuTicketSchema>;

/** A resume token in a room that several SFUs may serve: it says whose peer it is. @param secret base64url */
export function tokenAt(node: string, secret: string): string {
  return `${secret}.${node}`;
}

/** The node of such a token; '' for one that names none, because only one SFU serves its room. */
export function nodeOfToken(token: string): string {
  const dot = token.indexOf('.');
  return dot < 0 ? '' : token.slice(dot + 1);
}
