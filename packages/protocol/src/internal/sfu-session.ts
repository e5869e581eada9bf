import { z } from 'zod';
import { sfuTicketSchema } from './sfu-ticket.ts';

/**
 * Sessions without a socket, for WHIP and WHEP: the gateway hands offers and ICE fragments to the SFU by signed HTTP on its
 * signalling port, `POST /sessions/open`, `POST /sessions/ice` and `POST /sessions/close`.
 */
const sessionSchema = z.strictObject({
  room: sfuTicketSchema.shape.room,
  /** Whoever opened the session, and nobody else, may change and end it. */
  identity: sfuTicketSchema.shape.identity,
  /** Name of the session, which cannot be guessed. */
  session: z.string().min(1).max(64),
});

export const sfuSessionOpenSchema = z.strictObject({
  ticket: sfuTicketSchema.omit({ exp: true }),
  /** Shown to the others in the room. */
  name: z.string().max(128).optional(),
  /** Peer id or name of the only one to play; absent: whoever came last. */
  publisher: z.string().min(1).max(128).optional(),
  offer: z.string(),
});
export type SfuSessionOpen = z.infer<typeof sfuSessionOpenSchema>;

export const sfuSessionOpenedSchema = z.object({
  session: z.string(),
  peerId: z.string(),
  answer: z.string(),
  /** Strong entity tag (RFC 9110 section 8.8.3) of the ICE session, with its quotes. */
  etag: z.string(),
});
export type SfuSessionOpened = z.infer<typeof sfuSessionOpenedSchema>;

export const sfuSessionIceSchema = sessionSchema.extend({
  /** `application/trickle-ice-sdpfrag` (RFC 8840 section 9). */
  fragment: z.string(),
  /** The client's `If-Match`: the tag of the ICE session it means, or `*` to begin a new one. */
  ifMatch: z.string().max(256),
});
export type SfuSessionIce = z.infer<typeof sfuSessionIceSchema>;

/** `fragment` is the SFU's half of a new ICE session, null when the old one goes on. */
export const sfuSessionIceAnswerSchema = z.object({ etag: z.string(), fragment: z.string().nullable() });
export type SfuSessionIceAnswer = z.infer<typeof sfuSessionIceAnswerSchema>;

export const sfuSessionCloseSchema = sessionSchema;
export type SfuSessionClose = z.infer<typeof sfuSessionCloseSchema>;
