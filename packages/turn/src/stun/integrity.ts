import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** MESSAGE-INTEGRITY (HMAC-SHA1) or MESSAGE-INTEGRITY-SHA256. */
export type Integrity = 'sha1' | 'sha256';

/** Bytes of a MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 value; TURN does not shorten the latter. */
export const INTEGRITY_BYTES: Readonly<Record<Integrity, number>> = { sha1: 20, sha256: 32 };
const FINGERPRINT_XOR = 0x5354554e;
const HEADER_BYTES = 20;
const ATTRIBUTE_HEADER_BYTES = 4;

/**
 * HMAC over the message up to the integrity attribute that starts at `attributeOffset`, with the header's length as if
 * the message ended behind it (RFC 8489 sections 14.5 and 14.6). The message itself is not changed.
 */
export function messageIntegrity(message: Buffer, attributeOffset: number, key: Uint8Array, kind: Integrity): Buffer {
  const head = Buffer.allocUnsafe(4);
  message.copy(head, 0, 0, 2);
  head.writeUInt16BE(attributeOffset - HEADER_BYTES + ATTRIBUTE_HEADER_BYTES + INTEGRITY_BYTES[kind], 2);
  // As a key object: Node takes raw keys too, and three times as long with them.
  return createHmac(kind, createSecretKey(key)).update(head).update(message.subarray(4, attributeOffset)).digest();
}

/** Compares, in constant time, the integrity attribute at `attributeOffset` with what `key` gives. */
export function integrityMatches(message: Buffer, attributeOffset: number, key: Uint8Array, kind: Integrity): boolean {
  const valueOffset = attributeOffset + ATTRIBUTE_HEADER_BYTES;
  const given = message.subarray(valueOffset, valueOffset + INTEGRITY_BYTES[kind]);
  const made = messageIntegrity(message, attributeOffset, key, kind);
  return given.length === made.length && timingSafeEqual(given, made);
}

/** FINGERPRINT of the message up to `attributeOffset`; the header must already count it (RFC 8489 section 14.7). */
export function fingerprint(message: Buffer, attributeOffset: number): number {
  return (crc32(message.subarray(0, attributeOffset)) ^ FINGERPRINT_XOR) >>> 0;
}
