import { hash } from 'node:crypto';
import { opaqueString } from './opaque-string.ts';

/** How the long-term key is made of a password (RFC 8489 section 18.5). */
export type PasswordAlgorithm = 'md5' | 'sha256';

const NUMBER: Readonly<Record<PasswordAlgorithm, number>> = { md5: 0x0001, sha256: 0x0002 };

/** Value of PASSWORD-ALGORITHM: the algorithm, and that it has no parameters (RFC 8489 section 14.12). */
export function passwordAlgorithm(algorithm: PasswordAlgorithm): Buffer {
  return Buffer.from([0, NUMBER[algorithm], 0, 0]);
}

/** The PASSWORD-ALGORITHMS we offer, the better one first. */
export const PASSWORD_ALGORITHMS = Buffer.concat([passwordAlgorithm('sha256'), passwordAlgorithm('md5')]);

/** The first algorithm we know in a PASSWORD-ALGORITHM or PASSWORD-ALGORITHMS; undefined when there is none. */
export function readPasswordAlgorithm(value: Buffer): PasswordAlgorithm | undefined {
  for (let offset = 0; offset + 4 <= value.length; ) {
    const [number, parameterBytes] = [value.readUInt16BE(offset), value.readUInt16BE(offset + 2)];
    if (number === NUMBER.sha256 && parameterBytes === 0) return 'sha256';
    if (number === NUMBER.md5 && parameterBytes === 0) return 'md5';
    offset += 4 + ((parameterBytes + 3) & ~3);
  }
  return undefined;
}

/**
 * The key of the long-term credential mechanism: a digest of username ":" realm ":" password, each prepared as an
 * OpaqueString (RFC 8489 sections 9.2.2 and 18.5).
 * @throws RangeError when one of them cannot be prepared
 */
export function longTermKey(
  username: string,
  realm: string,
  password: string,
  algorithm: PasswordAlgorithm = 'md5',
): Buffer {
  const parts = [opaqueString(username, 'username'), opaqueString(realm, 'realm'), opaqueString(password, 'password')];
  return hash(algorithm, parts.join(':'), 'buffer');
}

/** What every nonce of a server with security features begins with (RFC 8489 section 9.2.1). */
const NONCE_COOKIE = 'obMatJos2';
/** Bit 0, the leftmost of 24: password algorithms. Bit 1, user names as hashes, is not set: we cannot look them up. */
const FEATURES = Buffer.from([0x80, 0, 0]);
/** The start of a nonce that announces PASSWORD-ALGORITHMS, so that nobody on the way can take them out unseen. */
export const NONCE_WITH_ALGORITHMS = NONCE_COOKIE + FEATURES.toString('base64');

/** Whether a nonce says that its server sent PASSWORD-ALGORITHMS along. */
export function announcesPasswordAlgorithms(nonce: Buffer): boolean {
  const text = nonce.toString('latin1');
  if (!text.startsWith(NONCE_COOKIE) || text.length < NONCE_WITH_ALGORITHMS.length) return false;
  const features = Buffer.from(text.slice(NONCE_COOKIE.length, NONCE_WITH_ALGORITHMS.length), 'base64');
  return ((features[0] ?? 0) & 0x80) !== 0;
}
