import { SIGNALLING_CLOSE } from '@orama/protocol';
import { ClientError, type ClientErrorCode } from '../errors.ts';

/** What to do after a loss: nothing, come back as the same peer, or join anew. */
type Recovery = 'none' | 'resume' | 'rejoin';

/** Why a signalling connection ended, and what follows from it. */
export interface Verdict {
  error: ClientError;
  recovery: Recovery;
}

/** What the server said last before it closed: an `error`, `kicked` or `room-closed` frame. */
export interface LastWords {
  type: 'error' | 'kicked' | 'room-closed';
  code: string;
  text: string;
  hint?: string | undefined;
}

// Asking for a resume is never wrong: a server that no longer knows the peer lets it join anew.
const BY_ERROR_CODE: Record<string, [ClientErrorCode, Recovery]> = {
  unauthorized: ['bad_credential', 'none'],
  forbidden: ['not_allowed', 'none'],
  webrtc_not_enabled: ['webrtc_not_enabled', 'none'],
  no_such_room: ['no_such_room', 'none'],
  room_full: ['room_full', 'none'],
  room_closed: ['room_closed', 'none'],
  room_mismatch: ['protocol_error', 'none'],
  invalid_join: ['protocol_error', 'none'],
  frame_too_large: ['protocol_error', 'none'],
  sfu_unavailable: ['sfu_unavailable', 'resume'],
  capacity: ['sfu_unavailable', 'resume'],
  rate_limited: ['rate_limited', 'resume'],
  internal: ['unreachable', 'resume'],
  draining: ['moved', 'rejoin'],
  media_failed: ['media_failed', 'rejoin'],
};

/** Without a close frame (RFC 6455 section 7.4.1). */
const LOST = 1006;

const BY_CLOSE_CODE: Record<number, [ClientErrorCode, Recovery, string]> = {
  [SIGNALLING_CLOSE.badCredential]: ['bad_credential', 'none', 'the server refused the credential'],
  [SIGNALLING_CLOSE.notAllowed]: ['not_allowed', 'none', 'the credential does not allow joining this room'],
  [SIGNALLING_CLOSE.noSuchRoom]: ['no_such_room', 'none', 'there is no such room, or it is full'],
  [SIGNALLING_CLOSE.rateLimited]: ['rate_limited', 'resume', 'too many requests'],
  [SIGNALLING_CLOSE.moved]: ['moved', 'rejoin', 'the room has moved to another node'],
  [SIGNALLING_CLOSE.protocolError]: ['protocol_error', 'rejoin', 'the server did not understand this client'],
  [SIGNALLING_CLOSE.tooBig]: ['protocol_error', 'none', 'a frame was too large for the server'],
  [SIGNALLING_CLOSE.goingAway]: ['unreachable', 'resume', 'the server is going away'],
};

/** Judges a closed socket by its close code and the last words of the server. */
export function judgeClose(code: number, words: LastWords | undefined): Verdict {
  if (words?.type === 'kicked') return { error: new ClientError('kicked', words.text), recovery: 'none' };
  if (words?.type === 'room-closed') return { error: new ClientError('room_closed', words.text), recovery: 'none' };
  const byClose = BY_CLOSE_CODE[code];
  const byWords = words && BY_ERROR_CODE[words.code];
  if (words && byWords) {
    // The server closes for what it cannot go on after. Where the network broke, the call would have outlived the error.
    const recovery = code === LOST && byWords[1] === 'none' ? 'resume' : byWords[1];
    return { error: new ClientError(byWords[0], words.text, { hint: words.hint }), recovery };
  }
  if (byClose)
    return {
      error: new ClientError(byClose[0], words?.text ?? byClose[2], { hint: words?.hint }),
      recovery: byClose[1],
    };
  const message = words?.text ?? `the connection to the server broke (close code ${code})`;
  return { error: new ClientError('unreachable', message), recovery: 'resume' };
}
