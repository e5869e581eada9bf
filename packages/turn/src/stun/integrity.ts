import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Bytes of a MESSAGE-INTEGRITY value. */
export const INTEGRITY_BYTES = 20;
const FINGERPRINT_XOR = 0x5354554e;
const HEADER_BYTES = 20;
const ATTRIBUTE_HEADER_BYTES = 4;

/** The key of the long-term credential mechanism: MD5(username ":" realm ":" password) (RFC 8489 section 9.2.2). */
export function longTermKey(username: string, realm: string, password: string): Buffer {
  return createHash('md5').update(`${username}:${realm}:${password}`).digest();
}

/**
 * HMAC-SHA1 over the message up to the MESSAGE-INTEGRITY attribute that starts at `attributeOffset`, with the
 * header's length as if the message ended there (RFC 8489 section 14.5). The message itself is not changed.
 */
export function messageIntegrity(message: Buffer, attributeOffset: number, key: Uint8Array): Buffer {
  const head = Buffer.allocUnsafe(4);
  message.copy(head, 0, 0, 2);
  head.writeUInt16BE(attributeOffset - HEADER_BYTES + ATTRIBUTE_HEADER_BYTES + INTEGRITY_BYTES, 2);
  return createHmac('sha1', key).update(head).update(message.subarray(4, attributeOffset)).digest();
}

/** Compares, in constant time, the MESSAGE-INTEGRITY attribute at `attributeOffset` with what `key` gives. */
export function integrityMatches(message: Buffer, attributeOffset: number, key: Uint8Array): boolean {
  const valueOffset = attributeOffset + ATTRIBUTE_HEADER_BYTES;
  const given = message.subarray(valueOffset, valueOffset + INTEGRITY_BYTES);
  return given.length === INTEGRITY_BYTES && timingSafeEqual(given, messageIntegrity(message, attributeOffset, key));
}

/** FINGERPRINT of the message up to `attributeOffset`; the header must already count it (RFC 8489 section 14.7). */
export function fingerprint(message: Buffer, attributeOffset: number): number {
  return (crc32(message.subarray(0, attributeOffset)) ^ FINGERPRINT_XOR) >>> 0;
}
