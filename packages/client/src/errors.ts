/** Why something did not work, or why the room was left. Stable: programs may branch on it. */
export type ClientErrorCode =
  /** The application called `leave()`. */
  | 'left'
  /** The API key or token is wrong, expired or revoked. */
  | 'bad_credential'
  /** The credential is good but does not allow this. */
  | 'not_allowed'
  /** WebRTC is not enabled for this namespace. */
  | 'webrtc_not_enabled'
  | 'no_such_room'
  | 'room_full'
  | 'room_closed'
  | 'kicked'
  /** The same peer was resumed from elsewhere. */
  | 'replaced'
  /** The server could not be reached, or the connection to it broke. */
  | 'unreachable'
  /** No answer in time. */
  | 'timeout'
  | 'rate_limited'
  /** The server is going away or has moved the room to another node. */
  | 'moved'
  /** No SFU can take the room right now. */
  | 'sfu_unavailable'
  /** No media path to the server, or it broke. */
  | 'media_failed'
  /** Offer and answer did not come to an end. */
  | 'negotiation_failed'
  | 'too_many_tracks'
  /** The other side broke the protocol. */
  | 'protocol_error'
  /** Every attempt to come back failed; `cause` is the last failure. */
  | 'reconnect_failed'
  /** The call does not fit the room's state. */
  | 'invalid_state'
  | 'invalid_argument';

/** The one error of this SDK. */
export class ClientError extends Error {
  readonly code: ClientErrorCode;
  /** The next step for whoever reads it. */
  readonly hint: string | undefined;

  constructor(code: ClientErrorCode, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ClientError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** Short text of any thrown value. */
export function describeError(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
