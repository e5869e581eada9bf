import { MAGIC_COOKIE, readPlainAddress, readXorAddress, type TransportAddress } from './address.ts';
import { ATTRIBUTE, isComprehensionRequired } from './attributes.ts';
import { padded } from './channel-data.ts';
import { readErrorCode } from './error-code.ts';
import { fingerprint, INTEGRITY_BYTES, type Integrity, integrityMatches } from './integrity.ts';

/** Bytes of the STUN header. */
export const STUN_HEADER_BYTES = 20;
/** Types that UNKNOWN-ATTRIBUTES names. */
const MAX_UNKNOWN_ATTRIBUTES = 16;
/** Bytes of a transaction id. */
export const TRANSACTION_ID_BYTES = 12;

/** Methods of RFC 8489 section 18.2 and RFC 8656 section 17. */
export const METHOD = {
  binding: 0x001,
  allocate: 0x003,
  refresh: 0x004,
  send: 0x006,
  data: 0x007,
  createPermission: 0x008,
  channelBind: 0x009,
} as const;

/** Message classes (RFC 8489 section 5). */
export const CLASS = { request: 0b00, indication: 0b01, success: 0b10, error: 0b11 } as const;
export type StunClass = (typeof CLASS)[keyof typeof CLASS];

/** The 14 bits of method and class, interleaved as RFC 8489 section 5 draws them. */
export function messageType(method: number, cls: StunClass): number {
  return (
    (method & 0x00f) | ((method & 0x070) << 1) | ((method & 0xf80) << 2) | ((cls & 0b01) << 4) | ((cls & 0b10) << 7)
  );
}

/** Where an attribute's value lies inside its message. */
export interface AttributeRef {
  readonly type: number;
  /** Offset of the attribute's header. */
  readonly start: number;
  /** Offset of the value. */
  readonly offset: number;
  /** Bytes of the value, without padding. */
  readonly length: number;
}

/**
 * A STUN message that has been found well formed: header, cookie, attribute bounds and FINGERPRINT are right.
 * It is a view: the buffer must not be reused while the message is looked at.
 */
export class StunMessage {
  readonly buffer: Buffer;
  readonly method: number;
  readonly cls: StunClass;
  readonly attributes: readonly AttributeRef[];
  readonly #seal: AttributeRef | undefined;

  private constructor(buffer: Buffer, attributes: AttributeRef[]) {
    const type = buffer.readUInt16BE(0);
    this.buffer = buffer;
    this.method = (type & 0x00f) | ((type & 0x0e0) >> 1) | ((type & 0x3e00) >> 2);
    this.cls = (((type >> 4) & 1) | ((type >> 7) & 2)) as StunClass;
    this.attributes = attributes;
    this.#seal = this.find(ATTRIBUTE.messageIntegritySha256) ?? this.find(ATTRIBUTE.messageIntegrity);
  }

  /**
   * Parses one whole datagram or frame. Returns undefined for anything that is not exactly one STUN message: wrong
   * top bits, cookie or length, an attribute that overruns, an integrity attribute of a wrong size, or a wrong
   * FINGERPRINT. Behind MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT count, behind the former only
   * FINGERPRINT (RFC 8489 sections 14.5 and 14.6).
   */
  static parse(buffer: Buffer): StunMessage | undefined {
    if (buffer.length < STUN_HEADER_BYTES || (buffer[0] as number) > 0x3f) return undefined;
    if (buffer.readUInt32BE(4) !== MAGIC_COOKIE) return undefined;
    const end = STUN_HEADER_BYTES + buffer.readUInt16BE(2);
    if (end !== buffer.length || (end & 3) !== 0) return undefined;

    const attributes: AttributeRef[] = [];
    let seal: Integrity | undefined;
    for (let start = STUN_HEADER_BYTES; start < end; ) {
      const type = buffer.readUInt16BE(start);
      const length = buffer.readUInt16BE(start + 2);
      const offset = start + 4;
      const next = offset + padded(length);
      if (next > end) return undefined;
      if (type === ATTRIBUTE.fingerprint) {
        if (length !== 4 || next !== end) return undefined;
        if (buffer.readUInt32BE(offset) !== fingerprint(buffer, start)) return undefined;
        attributes.push({ type, start, offset, length });
      } else if (type === ATTRIBUTE.messageIntegritySha256 && seal !== 'sha256') {
        if (length !== INTEGRITY_BYTES.sha256) return undefined;
        seal = 'sha256';
        attributes.push({ type, start, offset, length });
      } else if (seal === undefined) {
        if (type === ATTRIBUTE.messageIntegrity) {
          if (length !== INTEGRITY_BYTES.sha1) return undefined;
          seal = 'sha1';
        }
        attributes.push({ type, start, offset, length });
      }
      start = next;
    }
    return new StunMessage(buffer, attributes);
  }

  /** The 96-bit transaction id, as a view. */
  get transactionId(): Buffer {
    return this.buffer.subarray(8, STUN_HEADER_BYTES);
  }

  /** The stronger of the integrity attributes it carries. */
  get integrity(): Integrity | undefined {
    if (this.#seal === undefined) return undefined;
    return this.#seal.type === ATTRIBUTE.messageIntegrity ? 'sha1' : 'sha256';
  }

  /** The value of that attribute, as a view. */
  get seal(): Buffer | undefined {
    return this.#seal && this.buffer.subarray(this.#seal.offset, this.#seal.offset + this.#seal.length);
  }

  /** Whether its stronger integrity attribute is there and made with `key`; compared in constant time. */
  integrityMatches(key: Uint8Array): boolean {
    const kind = this.integrity;
    return kind !== undefined && this.#seal !== undefined && integrityMatches(this.buffer, this.#seal.start, key, kind);
  }

  /** The first attribute of a type (later ones of the same type do not count, RFC 8489 section 14). */
  find(type: number): AttributeRef | undefined {
    return this.attributes.find((attribute) => attribute.type === type);
  }

  has(type: number): boolean {
    return this.find(type) !== undefined;
  }

  /** The value of an attribute, as a view. */
  bytes(type: number): Buffer | undefined {
    const found = this.find(type);
    return found && this.buffer.subarray(found.offset, found.offset + found.length);
  }

  /** The value of an attribute as UTF-8 text. */
  text(type: number): string | undefined {
    return this.bytes(type)?.toString('utf8');
  }

  /** The value of a four-byte attribute; undefined when it is missing or of another size. */
  uint32(type: number): number | undefined {
    const found = this.find(type);
    return found?.length === 4 ? this.buffer.readUInt32BE(found.offset) : undefined;
  }

  /** The first XOR-...-ADDRESS of a type; undefined when it is missing or malformed. */
  address(type: number): TransportAddress | undefined {
    const found = this.find(type);
    return found && readXorAddress(this.buffer, found.offset, found.length);
  }

  /** Every XOR-...-ADDRESS of a type, undefined in the place of a malformed one. */
  addresses(type: number): (TransportAddress | undefined)[] {
    return this.attributes
      .filter((attribute) => attribute.type === type)
      .map((attribute) => readXorAddress(this.buffer, attribute.offset, attribute.length));
  }

  /** The first address of a type that is not masked (ALTERNATE-SERVER); undefined when it is missing or malformed. */
  plainAddress(type: number): TransportAddress | undefined {
    const value = this.bytes(type);
    return value && readPlainAddress(value);
  }

  /** The number in ERROR-CODE, for clients. */
  get errorCode(): number | undefined {
    const value = this.bytes(ATTRIBUTE.errorCode);
    return value && readErrorCode(value);
  }

  /**
   * Comprehension-required types that are not in `understood`, in the order met (for 420): the first sixteen, more than any
   * client means, because the answer that tells them is kept.
   */
  unknownAttributes(understood: ReadonlySet<number>): number[] {
    const unknown = new Set<number>();
    for (const { type } of this.attributes) {
      if (isComprehensionRequired(type) && !understood.has(type)) unknown.add(type);
      if (unknown.size === MAX_UNKNOWN_ATTRIBUTES) break;
    }
    return [...unknown];
  }
}
