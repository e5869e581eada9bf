import { ATTRIBUTE, CLASS, ERROR_REASONS, type StunMessage, StunWriter } from '../stun/index.ts';

/** Adds attributes to a reply. */
export type Fill = (writer: StunWriter) => void;

/** A success response to `message`, sealed with the sender's key when it has one. */
export function success(message: StunMessage, key: Buffer | undefined, fill?: Fill): Buffer {
  const writer = new StunWriter(message.method, CLASS.success, message.transactionId);
  fill?.(writer);
  return writer.finish({ key, fingerprint: message.has(ATTRIBUTE.fingerprint) });
}

/** An error response; `key` seals it where the sender is known (RFC 8489 section 9.2.4 leaves 401 and 438 unsealed). */
export function failure(message: StunMessage, code: number, key?: Buffer, fill?: Fill, reason?: string): Buffer {
  const writer = new StunWriter(message.method, CLASS.error, message.transactionId);
  writer.errorCode(code, reason ?? ERROR_REASONS[code] ?? '');
  fill?.(writer);
  return writer.finish({ key, fingerprint: message.has(ATTRIBUTE.fingerprint) });
}
