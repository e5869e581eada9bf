import { type OramaError, toOramaError } from '@orama/core';
import { ENVELOPE_SUBPROTOCOL, SIGNALLING_CLOSE, type SignallingErrorCode } from '@orama/protocol';

/** An `error` frame and the close code that follows it. */
export interface Refusal {
  code: SignallingErrorCode;
  message: string;
  close: number;
  hint?: string | undefined;
}

/** The refusal that a REST error becomes on a signalling socket. */
export function refusalOf(thrown: unknown): Refusal {
  const error = toOramaError(thrown, 'opening the signalling session');
  const [code, close] = mapping(error);
  return { code, close, message: error.message, hint: error.hint };
}

function mapping(error: OramaError): [SignallingErrorCode, number] {
  switch (error.code) {
    case 'UNAUTHORIZED':
      return ['unauthorized', SIGNALLING_CLOSE.badCredential];
    case 'FORBIDDEN':
      return ['forbidden', SIGNALLING_CLOSE.notAllowed];
    case 'WEBRTC_NOT_ENABLED':
      return ['webrtc_not_enabled', SIGNALLING_CLOSE.notAllowed];
    case 'RATE_LIMITED':
      return ['rate_limited', SIGNALLING_CLOSE.rateLimited];
    case 'SFU_UNAVAILABLE':
    case 'STORE_UNAVAILABLE':
      return ['sfu_unavailable', SIGNALLING_CLOSE.moved];
    default:
      return ['internal', SIGNALLING_CLOSE.moved];
  }
}

/** The `error` frame of a refusal in the dialect of the socket's subprotocol. */
export function errorFrame(refusal: Refusal, subprotocol: string): string {
  const { code, message, hint } = refusal;
  const body = { code, message, ...(hint === undefined ? {} : { hint }) };
  return JSON.stringify(
    subprotocol === ENVELOPE_SUBPROTOCOL ? { type: 'error', data: body } : { type: 'error', ...body },
  );
}
