import {
  ATTRIBUTE,
  ERROR_REASONS,
  NONCE_WITH_ALGORITHMS,
  PASSWORD_ALGORITHMS,
  padded,
  STUN_HEADER_BYTES,
  type StunMessage,
} from '../stun/index.ts';
import { NONCE_CHARS, type Nonces } from './nonces.ts';
import { failure } from './replies.ts';

const ATTRIBUTE_HEADER_BYTES = 4;
const FINGERPRINT_BYTES = 8;

/** What an unauthenticated sender is told so that it can try again: realm, nonce and, where there is room, more. */
export class Challenges {
  readonly #realm: string;
  readonly #nonces: Nonces;

  constructor(realm: string, nonces: Nonces) {
    this.#realm = realm;
    this.#nonces = nonces;
  }

  /**
   * A 401 or 438 of at most `room` bytes, if it can be: PASSWORD-ALGORITHMS with the nonce that announces them (RFC 8489
   * section 9.2.4) where they fit, and the reason phrase where that fits too. Without them a client uses MD5 and
   * MESSAGE-INTEGRITY, as all of RFC 5389 do. A 400 says nothing but that.
   */
  build(message: StunMessage, code: 400 | 401 | 438, room: number, client: string, nowMs: number): Buffer {
    if (code === 400) return failure(message, code);
    const reason = ERROR_REASONS[code] ?? '';
    const announce = this.#size(message, true) <= room;
    const told = this.#size(message, announce) + padded(reason.length) <= room ? reason : '';
    return failure(
      message,
      code,
      undefined,
      (writer) => {
        writer.text(ATTRIBUTE.realm, this.#realm);
        writer.text(ATTRIBUTE.nonce, this.#nonces.issue(client, nowMs, announce));
        if (announce) writer.bytes(ATTRIBUTE.passwordAlgorithms, PASSWORD_ALGORITHMS);
      },
      told,
    );
  }

  /** Bytes of the answer without a reason phrase. */
  #size(message: StunMessage, announce: boolean): number {
    const nonce = announce ? NONCE_WITH_ALGORITHMS.length + NONCE_CHARS : NONCE_CHARS;
    const values = [4, Buffer.byteLength(this.#realm), nonce, ...(announce ? [PASSWORD_ALGORITHMS.length] : [])];
    const attributes = values.reduce((sum, length) => sum + ATTRIBUTE_HEADER_BYTES + padded(length), 0);
    return STUN_HEADER_BYTES + attributes + (message.has(ATTRIBUTE.fingerprint) ? FINGERPRINT_BYTES : 0);
  }
}
