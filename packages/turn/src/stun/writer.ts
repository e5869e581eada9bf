import { MAGIC_COOKIE, writePlainAddress, writeXorAddress } from './address.ts';
import { ATTRIBUTE } from './attributes.ts';
import { padded } from './channel-data.ts';
import { errorCode, unknownAttributes } from './error-code.ts';
import { fingerprint, INTEGRITY_BYTES, type Integrity, messageIntegrity } from './integrity.ts';
import { messageType, STUN_HEADER_BYTES, type StunClass } from './message.ts';

const ADDRESS_MAX_BYTES = 20;

/** Builds one STUN message attribute by attribute; `finish` seals it. */
export class StunWriter {
  #buffer: Buffer;
  #end = STUN_HEADER_BYTES;

  constructor(method: number, cls: StunClass, transactionId: Uint8Array, capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(Math.max(capacity, STUN_HEADER_BYTES));
    this.#buffer.writeUInt16BE(messageType(method, cls), 0);
    this.#buffer.writeUInt32BE(MAGIC_COOKIE, 4);
    this.#buffer.set(transactionId, 8);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#end;
  }

  bytes(type: number, value: Uint8Array): this {
    const offset = this.#open(type, value.length);
    this.#buffer.set(value, offset);
    return this;
  }

  text(type: number, value: string): this {
    return this.bytes(type, Buffer.from(value, 'utf8'));
  }

  uint32(type: number, value: number): this {
    this.#buffer.writeUInt32BE(value >>> 0, this.#open(type, 4));
    return this;
  }

  /** An attribute without a value. */
  flag(type: number): this {
    this.#open(type, 0);
    return this;
  }

  /** An XOR-...-ADDRESS attribute. Throws a RangeError when `address` is not an IP address. */
  address(type: number, address: string, port: number): this {
    const start = this.#end;
    const offset = this.#open(type, ADDRESS_MAX_BYTES);
    const length = writeXorAddress(this.#buffer, offset, address, port);
    this.#buffer.writeUInt16BE(length, start + 2);
    this.#end = offset + length;
    return this;
  }

  /** An address that is not masked: ALTERNATE-SERVER (RFC 8489 sections 14.1 and 14.15). */
  plainAddress(type: number, address: string, port: number): this {
    const start = this.#end;
    const offset = this.#open(type, ADDRESS_MAX_BYTES);
    const length = writePlainAddress(this.#buffer, offset, address, port);
    this.#buffer.writeUInt16BE(length, start + 2);
    this.#end = offset + length;
    return this;
  }

  /** ERROR-CODE. */
  errorCode(code: number, reason?: string): this {
    return this.bytes(ATTRIBUTE.errorCode, errorCode(code, reason));
  }

  /** UNKNOWN-ATTRIBUTES. */
  unknownAttributes(types: readonly number[]): this {
    return this.bytes(ATTRIBUTE.unknownAttributes, unknownAttributes(types));
  }

  /**
   * Adds MESSAGE-INTEGRITY when a key is given (MESSAGE-INTEGRITY-SHA256 with `integrity`), then FINGERPRINT when asked,
   * and returns the finished message.
   */
  finish(
    options: { key?: Uint8Array | undefined; integrity?: Integrity | undefined; fingerprint?: boolean } = {},
  ): Buffer {
    if (options.key !== undefined) {
      const kind = options.integrity ?? 'sha1';
      const start = this.#end;
      const type = kind === 'sha1' ? ATTRIBUTE.messageIntegrity : ATTRIBUTE.messageIntegritySha256;
      const offset = this.#open(type, INTEGRITY_BYTES[kind]);
      messageIntegrity(this.#buffer, start, options.key, kind).copy(this.#buffer, offset);
    }
    if (options.fingerprint === true) {
      const start = this.#end;
      const offset = this.#open(ATTRIBUTE.fingerprint, 4);
      this.#writeLength();
      this.#buffer.writeUInt32BE(fingerprint(this.#buffer, start), offset);
    }
    this.#writeLength();
    return this.#buffer.subarray(0, this.#end);
  }

  #writeLength(): void {
    this.#buffer.writeUInt16BE(this.#end - STUN_HEADER_BYTES, 2);
  }

  /** Writes an attribute's header with zeroed padding and returns the offset of its value. */
  #open(type: number, length: number): number {
    const offset = this.#end + 4;
    const end = offset + padded(length);
    if (end > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#end);
      this.#buffer = grown;
    }
    this.#buffer.writeUInt16BE(type, this.#end);
    this.#buffer.writeUInt16BE(length, this.#end + 2);
    this.#buffer.fill(0, offset + length, end);
    this.#end = end;
    return offset;
  }
}
