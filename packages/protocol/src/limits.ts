/** Limits that both ends of a wire must agree on. Sizes in bytes, times in milliseconds or seconds as the name says. */

/** Largest signalling frame that is not a session description. */
export const SIGNALLING_FRAME_MAX_BYTES = 64 * 1024;
/** Largest `offer` or `answer` frame. */
export const SIGNALLING_DESCRIPTION_MAX_BYTES = 256 * 1024;
/** Token bucket of `offer`, `answer` and `ice-candidate` frames of one peer. */
export const NEGOTIATION_RATE = { burst: 40, perSec: 10 } as const;
/** Token bucket of all other frames of one peer. */
export const FRAME_RATE = { burst: 20, perSec: 20 } as const;
/** A socket that has not joined by then is closed. */
export const JOIN_TIMEOUT_MS = 10_000;
/** A socket that shows no sign of life (frame or pong) for so long is dead. */
export const PEER_SILENCE_MS = 30_000;
/** How long the media of a peer whose socket dropped is kept for a resume. */
export const RESUME_WINDOW_MS = 15_000;
/** A WHIP or WHEP session whose media is not connected by then ends. */
export const HTTP_SESSION_CONNECT_MS = 30_000;
/** An empty room that nobody created by REST is removed after this. */
export const EMPTY_ROOM_MS = 60_000;
/** Peers a room takes unless it was created with another number. */
export const DEFAULT_MAX_PARTICIPANTS = 100;
/** The most that a room may be created for. */
export const MAX_PARTICIPANTS_LIMIT = 1000;
/** The most loudest publishers that a room may be created to forward. */
export const MAX_SPEAKERS_LIMIT = 100;
/** JSON text of a peer's or room's `metadata`. */
export const METADATA_MAX_BYTES = 4096;
/** How deep arrays and objects of an application's own JSON (`metadata`, `data`) may nest. */
export const JSON_MAX_DEPTH = 32;
/** JSON text of a `data` frame's payload. */
export const DATA_MAX_BYTES = 16 * 1024;
/** Data channels one peer may have opened. */
export const MAX_CHANNELS_PER_PEER = 16;
/** Data channels one peer is given by the SFU; those of others beyond it do not reach it. */
export const MAX_CHANNELS_TO_PEER = 256;
/** UTF-8 bytes of a data channel's label. */
export const CHANNEL_LABEL_MAX_BYTES = 128;
/** One data channel message, also `a=max-message-size` (RFC 8841) of the SFU's descriptions. */
export const CHANNEL_MESSAGE_MAX_BYTES = 64 * 1024;
/** Token buckets of what one peer sends over all of its data channels. */
export const CHANNEL_MESSAGE_RATE = { burst: 400, perSec: 200 } as const;
export const CHANNEL_BYTE_RATE = { burst: 2 * 1024 * 1024, perSec: 1024 * 1024 } as const;
/** Token bucket of data channels that one peer opens. */
export const CHANNEL_OPEN_RATE = { burst: 32, perSec: 4 } as const;
/** What waits in the SFU for one receiver, over all of its data channels, is never more. */
export const CHANNEL_BUFFER_MAX_BYTES = 1024 * 1024;
/** The same for the link between two SFUs of a room, and how many channels cross it at once in each direction. */
export const LINK_BUFFER_MAX_BYTES = 8 * 1024 * 1024;
export const MAX_CHANNELS_OVER_LINK = 400;
/** Tracks one peer may publish. */
export const MAX_TRACKS_PER_PEER = 16;
/** Widest and highest picture that is told of. */
export const PICTURE_MAX_PIXELS = 16_384;
/** A ticket from gateway to SFU lives this long. */
export const SFU_TICKET_TTL_SEC = 30;
/** Clock difference accepted on signed requests between our processes. */
export const SIGNED_REQUEST_SKEW_SEC = 60;
/** Share of a TURN credential's life after which the SFU pushes a new one. */
export const CREDENTIAL_REFRESH_FRACTION = 0.8;
/** TURN credential life unless a namespace sets another. */
export const DEFAULT_TURN_CREDENTIAL_TTL_SEC = 600;
