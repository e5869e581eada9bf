import { METADATA_MAX_BYTES, nodeOfToken, roomIdSchema } from '@orama/protocol';
import type { Message } from './leg.ts';

/** Largest `join` that the gateway reads itself: full metadata, name and token with some room to spare. */
export const JOIN_FRAME_MAX_BYTES = METADATA_MAX_BYTES + 1024;

/** The room that a `join` names, or why it cannot be used. */
export type JoinFrame =
  | { ok: true; room: string }
  | { ok: false; code: 'invalid_message' | 'invalid_join' | 'frame_too_large'; message: string };

/** Reads the room out of a first frame, flat (`room`) or in the enveloped dialect (`data.roomId`). Never throws. */
export function readJoinFrame({ data, isBinary }: Message): JoinFrame {
  if (data.length > JOIN_FRAME_MAX_BYTES) {
    return {
      ok: false,
      code: 'frame_too_large',
      message: `the join frame is larger than ${JOIN_FRAME_MAX_BYTES} bytes`,
    };
  }
  const frame = isBinary ? null : parseObject(data.toString('utf8'));
  if (frame?.type !== 'join') {
    return { ok: false, code: 'invalid_message', message: 'the first frame must be a join as JSON text' };
  }
  const body = isObject(frame.data) ? frame.data : frame;
  const room = roomIdSchema.safeParse(body.room ?? body.roomId);
  if (room.success) return { ok: true, room: room.data };
  return {
    ok: false,
    code: 'invalid_join',
    message: 'join names no room: 1-128 printable ASCII characters without spaces',
  };
}

/** Where the resume token of a first frame comes from, see `nodeOfToken`; undefined where there is none. Never throws. */
export function nodeOfResume({ data, isBinary }: Message): string | undefined {
  if (isBinary || data.length > JOIN_FRAME_MAX_BYTES) return undefined;
  const frame = parseObject(data.toString('utf8'));
  const body = isObject(frame?.data) ? frame.data : frame;
  return typeof body?.resume === 'string' ? nodeOfToken(body.resume) : undefined;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
