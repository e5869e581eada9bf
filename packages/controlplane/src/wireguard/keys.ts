import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';

/** An X25519 private key in PKCS #8 (RFC 8410) is this before its 32 bytes. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');
/** Its public key in SPKI. */
const SPKI_HEAD_LENGTH = 12;

/** A new private key, as WireGuard writes keys: 32 bytes in base64. */
export function createPrivateWireguardKey(): string {
  const { privateKey } = generateKeyPairSync('x25519');
  return privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_HEAD.length).toString('base64');
}

/** The public key of a private one. */
export function publicWireguardKey(privateKey: string): string {
  const der = Buffer.concat([PKCS8_HEAD, Buffer.from(privateKey, 'base64')]);
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI_HEAD_LENGTH).toString('base64');
}
