import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { NONCE_WITH_ALGORITHMS } from '../stun/index.ts';

const MAC_BYTES = 11;
const EXPIRY_BYTES = 4;
/** Characters of a nonce without the announcement of password algorithms. */
export const NONCE_CHARS = 20;

/**
 * Nonces that need no memory: four bytes of expiry and eleven of HMAC over expiry and 5-tuple, as twenty characters, so
 * that no two ports are given the same (RFC 8489 section 9.2.4). Short, so that a 401 to the smallest Allocate stays
 * within three times its size. Where there is room they begin with the cookie that announces PASSWORD-ALGORITHMS, and
 * the HMAC covers that too.
 */
export class Nonces {
  readonly #key: KeyObject;
  readonly #lifetimeSec: number;

  /** @param key shared by the workers of a node, so that any of them knows the others' nonces */
  constructor(lifetimeSec: number, key: Buffer) {
    this.#lifetimeSec = lifetimeSec;
    this.#key = createSecretKey(key);
  }

  /**
   * A nonce for a client, named by its 5-tuple, valid for the configured time; `announce` says that PASSWORD-ALGORITHMS
   * go with it.
   */
  issue(client: string, nowMs: number, announce: boolean): string {
    const prefix = announce ? NONCE_WITH_ALGORITHMS : '';
    const expiry = Buffer.allocUnsafe(EXPIRY_BYTES);
    expiry.writeUInt32BE(Math.floor(nowMs / 1000) + this.#lifetimeSec);
    return prefix + Buffer.concat([expiry, this.#mac(prefix, expiry, client)]).toString('base64url');
  }

  /** Whether we issued it to this client (`foreign` when not), and whether its time has come (`stale`). */
  judge(nonce: Buffer, client: string, nowMs: number): 'valid' | 'stale' | 'foreign' {
    const text = nonce.toString('latin1');
    const prefix = text.startsWith(NONCE_WITH_ALGORITHMS) ? NONCE_WITH_ALGORITHMS : '';
    const bytes = Buffer.from(text.slice(prefix.length), 'base64url');
    if (text.length !== prefix.length + NONCE_CHARS || bytes.length !== EXPIRY_BYTES + MAC_BYTES) return 'foreign';
    const expiry = bytes.subarray(0, EXPIRY_BYTES);
    const mac = this.#mac(prefix, expiry, client);
    if (!timingSafeEqual(bytes.subarray(EXPIRY_BYTES), mac)) return 'foreign';
    return expiry.readUInt32BE() > nowMs / 1000 ? 'valid' : 'stale';
  }

  #mac(prefix: string, expiry: Buffer, client: string): Buffer {
    const hmac = createHmac('sha256', this.#key).update(prefix).update(expiry).update(client);
    return hmac.digest().subarray(0, MAC_BYTES);
  }
}
