import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { deriveKey } from './signed-request.ts';

const PREFIX = 'enc:';

/** Encrypts secrets at rest: AES-256-GCM under a key derived from the cluster key for one purpose. */
export class SecretBox {
  readonly #key: Buffer;

  constructor(clusterKey: string, purpose: string) {
    this.#key = deriveKey(clusterKey, purpose);
  }

  /** `enc:` + base64(nonce 12 | ciphertext | tag 16). `context` binds the value to its place, such as the namespace. */
  seal(plain: string, context: string): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(context));
    const sealed = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return PREFIX + sealed.toString('base64');
  }

  /** The plain text. Throws when the value was not sealed with this key for this context. */
  open(sealed: string, context: string): string {
    const raw = Buffer.from(sealed.startsWith(PREFIX) ? sealed.slice(PREFIX.length) : '', 'base64');
    if (raw.length < 28) throw new Error('sealed value is malformed');
    const decipher = createDecipheriv('aes-256-gcm', this.#key, raw.subarray(0, 12)).setAAD(Buffer.from(context));
    decipher.setAuthTag(raw.subarray(raw.length - 16));
    return Buffer.concat([decipher.update(raw.subarray(12, raw.length - 16)), decipher.final()]).toString('utf8');
  }
}
