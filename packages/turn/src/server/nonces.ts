import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const MAC_BYTES = 11;

/**
 * Nonces that need no memory: four bytes of expiry and eleven of HMAC over expiry and client address, as twenty
 * characters. Short, so that a 401 to the smallest Allocate stays below three times its size.
 */
export class Nonces {
  readonly #key: Buffer;
  readonly #lifetimeSec: number;

  /** @param key shared by the workers of a node, so that any of them knows the others' nonces */
  constructor(lifetimeSec: number, key: Buffer = randomBytes(32)) {
    this.#lifetimeSec = lifetimeSec;
    this.#key = key;
  }

  /** A nonce for a client, valid for the configured time. */
  issue(clientAddress: string, nowMs: number): string {
    const expiry = Buffer.allocUnsafe(4);
    expiry.writeUInt32BE(Math.floor(nowMs / 1000) + this.#lifetimeSec);
    return Buffer.concat([expiry, this.#mac(expiry, clientAddress)]).toString('base64url');
  }

  /** Whether we issued it to this client and its time has not come. */
  isValid(nonce: Buffer, clientAddress: string, nowMs: number): boolean {
    const bytes = Buffer.from(nonce.toString('latin1'), 'base64url');
    if (nonce.length !== 20 || bytes.length !== 4 + MAC_BYTES) return false;
    const expiry = bytes.subarray(0, 4);
    return timingSafeEqual(bytes.subarray(4), this.#mac(expiry, clientAddress)) && expiry.readUInt32BE() > nowMs / 1000;
  }

  #mac(expiry: Buffer, clientAddress: string): Buffer {
    return createHmac('sha256', this.#key).update(expiry).update(clientAddress).digest().subarray(0, MAC_BYTES);
  }
}
