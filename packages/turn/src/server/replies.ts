import { ATTRIBUTE, CLASS, type Integrity, type StunMessage, StunWriter } from '../stun/index.ts';

/** Adds attributes to a reply. */
export type Fill = (writer: StunWriter) => void;

/** A success response to `message`, sealed with the sender's key when it has one. */
export function success(message: StunMessage, key: Buffer | undefined, fill?: Fill): Buffer {
  const writer = new StunWriter(message.method, CLASS.success, message.transactionId);
  fill?.(writer);
  return finish(writer, message, key);
}

/** An error response; `key` seals it where the sender is known (RFC 8489 section 9.2.4 leaves 401 and 438 unsealed). */
export function failure(message: StunMessage, code: number, key?: Buffer, fill?: Fill, reason?: string): Buffer {
  const writer = new StunWriter(message.method, CLASS.error, message.transactionId);
  writer.errorCode(code, reason);
  fill?.(writer);
  return finish(writer, message, key);
}

function finish(writer: StunWriter, message: StunMessage, key: Buffer | undefined): Buffer {
  return writer.finish({ key, integrity: sealOf(message), fingerprint: message.has(ATTRIBUTE.fingerprint) });
}

/** A client that chose a password algorithm is answered with MESSAGE-INTEGRITY-SHA256 (RFC 8489 section 9.2.4). */
function sealOf(message: StunMessage): Integrity | undefined {
  return message.has(ATTRIBUTE.passwordAlgorithm) ? 'sha256' : message.integrity;
}
