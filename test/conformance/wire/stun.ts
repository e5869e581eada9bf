// STUN and TURN bytes, written from RFC 8489 and RFC 8656 alone: nothing of packages/turn is used here, so that a
// mistake cannot hide by being made on both sides.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const HEADER_BYTES = 20;
const COOKIE = Buffer.of(0x21, 0x12, 0xa4, 0x42);

/** First sixteen bits of each message, as they are on the wire. */
export const TYPE = {
  bindingRequest: 0x0001,
  bindingIndication: 0x0011,
  allocate: 0x0003,
  refresh: 0x0004,
  send: 0x0016,
  data: 0x0017,
  createPermission: 0x0008,
  channelBind: 0x0009,
} as const;

/** Attribute types. */
export const ATTR = {
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  channelNumber: 0x000c,
  lifetime: 0x000d,
  xorPeerAddress: 0x0012,
  data: 0x0013,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedAddressFamily: 0x0017,
  evenPort: 0x0018,
  requestedTransport: 0x0019,
  dontFragment: 0x001a,
  messageIntegritySha256: 0x001c,
  passwordAlgorithm: 0x001d,
  xorMappedAddress: 0x0020,
  reservationToken: 0x0022,
  additionalAddressFamily: 0x8000,
  addressErrorCode: 0x8001,
  passwordAlgorithms: 0x8002,
  icmp: 0x8004,
  software: 0x8022,
  fingerprint: 0x8028,
} as const;

export type Attribute = readonly [type: number, value: Uint8Array];
export interface Endpoint {
  address: string;
  port: number;
}

/** Text, or a number of four bytes, as an attribute. */
export const text = (type: number, value: string): Attribute => [type, Buffer.from(value, 'utf8')];
const uint32 = (type: number, value: number): Attribute => [
  type,
  Buffer.of(value >>> 24, value >>> 16, value >>> 8, value),
];
export const bytes = (type: number, ...value: number[]): Attribute => [type, Buffer.from(value)];

/** REQUESTED-TRANSPORT for UDP. */
export const UDP = bytes(ATTR.requestedTransport, 17, 0, 0, 0);
export const FAMILY = { ipv4: 1, ipv6: 2 } as const;
export const requestedFamily = (family: number) => bytes(ATTR.requestedAddressFamily, family, 0, 0, 0);
export const additionalFamily = (family: number) => bytes(ATTR.additionalAddressFamily, family, 0, 0, 0);
export const channelNumber = (channel: number) => bytes(ATTR.channelNumber, channel >> 8, channel & 255, 0, 0);
export const lifetime = (seconds: number) => uint32(ATTR.lifetime, seconds);

/** The sixteen bytes of an IPv6 address. */
function ipv6Bytes(address: string): Buffer {
  const [head = '', tail] = address.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const middle = new Array<number>(8 - left.length - right.length).fill(0);
  return Buffer.from([...left, ...middle, ...right].flatMap((group) => [group >> 8, group & 255]));
}

function ipv6Text(value: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, n) =>
    (((value[2 * n] as number) << 8) | (value[2 * n + 1] as number)).toString(16),
  );
  return groups.join(':').replace(/(^|:)0(:0)+(:|$)/, '::');
}

function xored(value: Uint8Array, id: Uint8Array): Buffer {
  const mask = Buffer.concat([COOKIE, id]);
  return Buffer.from(value.map((byte, n) => byte ^ (mask[n] as number)));
}

/** XOR-PEER-ADDRESS. IPv6 addresses are masked with the transaction id too, which the message must have. */
export function peerAddress(peer: Endpoint, id: Uint8Array = Buffer.alloc(12)): Attribute {
  const ipv6 = peer.address.includes(':');
  const address = ipv6 ? ipv6Bytes(peer.address) : Buffer.from(peer.address.split('.').map(Number));
  const port = peer.port ^ 0x2112;
  const head = Buffer.of(0, ipv6 ? FAMILY.ipv6 : FAMILY.ipv4, port >> 8, port & 255);
  return [ATTR.xorPeerAddress, Buffer.concat([head, xored(address, id)])];
}

function encodeAttribute([type, value]: Attribute): Buffer {
  const padding = Buffer.alloc((4 - (value.length % 4)) % 4);
  return Buffer.concat([Buffer.of(type >> 8, type & 255, value.length >> 8, value.length & 255), value, padding]);
}

/** Header and attributes; `extra` more bytes are announced in the length than there are. */
function assemble(type: number, id: Uint8Array, body: Uint8Array, extra = 0): Buffer {
  const length = body.length + extra;
  return Buffer.concat([Buffer.of(type >> 8, type & 255, length >> 8, length & 255), COOKIE, id, body]);
}

export interface Sealing {
  /** Long-term key; MESSAGE-INTEGRITY is added when there is one. */
  key?: Buffer | undefined;
  /** MESSAGE-INTEGRITY-SHA256 in the place of MESSAGE-INTEGRITY. */
  sha256?: boolean | undefined;
  /** Attributes behind MESSAGE-INTEGRITY. */
  after?: readonly Attribute[] | undefined;
  fingerprint?: boolean | undefined;
}

/** A whole message. */
export function message(
  type: number,
  attributes: readonly Attribute[],
  { key, sha256, after = [], fingerprint }: Sealing = {},
  id: Uint8Array = randomBytes(12),
): Buffer {
  let body = Buffer.concat(attributes.map(encodeAttribute));
  if (key !== undefined) {
    const size = sha256 ? 32 : 20;
    const mac = createHmac(sha256 ? 'sha256' : 'sha1', key).update(assemble(type, id, body, 4 + size));
    const attribute = sha256 ? ATTR.messageIntegritySha256 : ATTR.messageIntegrity;
    body = Buffer.concat([body, encodeAttribute([attribute, mac.digest()])]);
  }
  body = Buffer.concat([body, ...after.map(encodeAttribute)]);
  if (fingerprint) {
    const crc = (crc32(assemble(type, id, body, 8)) ^ 0x5354554e) >>> 0;
    body = Buffer.concat([body, encodeAttribute(uint32(ATTR.fingerprint, crc))]);
  }
  return assemble(type, id, body);
}

/** Long-term key: MD5 or SHA-256 of `username:realm:password`. */
export function longTermKey(username: string, realm: string, password: string, hash: 'md5' | 'sha256' = 'md5'): Buffer {
  return createHash(hash).update(`${username}:${realm}:${password}`).digest();
}

/** ChannelData; on a stream it is padded to four bytes. */
export function channelData(channel: number, data: Uint8Array, padded: boolean): Buffer {
  const padding = padded ? Buffer.alloc((4 - (data.length % 4)) % 4) : Buffer.alloc(0);
  return Buffer.concat([Buffer.of(channel >> 8, channel & 255, data.length >> 8, data.length & 255), data, padding]);
}

/** A message that was received. */
export class Received {
  readonly raw: Buffer;
  readonly type: number;
  readonly id: string;
  readonly attributes: readonly { type: number; value: Buffer; start: number }[];

  /** Throws when it is not exactly one well-formed message. */
  constructor(raw: Buffer) {
    if (raw.length < HEADER_BYTES || (raw[0] as number) > 3 << 4) throw new Error('not a STUN message');
    if (!raw.subarray(4, 8).equals(COOKIE)) throw new Error('no magic cookie');
    if (raw.readUInt16BE(2) !== raw.length - HEADER_BYTES) throw new Error('the length is not that of the message');
    this.raw = raw;
    this.type = raw.readUInt16BE(0);
    this.id = raw.toString('hex', 8, 20);
    const attributes = [];
    for (let start = HEADER_BYTES; start < raw.length; ) {
      const length = raw.readUInt16BE(start + 2);
      const end = start + 4 + length;
      if (end > raw.length) throw new Error('an attribute ends behind the message');
      attributes.push({ type: raw.readUInt16BE(start), value: raw.subarray(start + 4, end), start });
      start = end + ((4 - (length % 4)) % 4);
    }
    this.attributes = attributes;
  }

  /** The value of the first attribute of a type. */
  value(type: number): Buffer | undefined {
    return this.attributes.find((attribute) => attribute.type === type)?.value;
  }

  has(type: number): boolean {
    return this.value(type) !== undefined;
  }

  /** Number in ERROR-CODE; 200 for a success response. */
  get code(): number {
    const value = this.value(ATTR.errorCode);
    return value === undefined ? 200 : ((value[2] as number) & 7) * 100 + (value[3] as number);
  }

  get isSuccess(): boolean {
    return (this.type & 0x0110) === 0x0100;
  }

  get isError(): boolean {
    return (this.type & 0x0110) === 0x0110;
  }

  uint32(type: number): number | undefined {
    const value = this.value(type);
    return value?.length === 4 ? value.readUInt32BE() : undefined;
  }

  /** Every XOR-...-ADDRESS of a type. */
  addresses(type: number): Endpoint[] {
    return this.attributes
      .filter((attribute) => attribute.type === type)
      .map(({ value }) => {
        const plain = xored(value.subarray(4), this.raw.subarray(8, 20));
        const address = value[1] === FAMILY.ipv6 ? ipv6Text(plain) : plain.join('.');
        return { address, port: value.readUInt16BE(2) ^ 0x2112 };
      });
  }

  /** Whether MESSAGE-INTEGRITY (or its SHA-256 form) is there and right. */
  isSealedWith(key: Buffer, sha256 = false): boolean {
    const type = sha256 ? ATTR.messageIntegritySha256 : ATTR.messageIntegrity;
    const found = this.attributes.find((attribute) => attribute.type === type);
    if (found === undefined) return false;
    const covered = Buffer.from(this.raw.subarray(0, found.start));
    covered.writeUInt16BE(found.start - HEADER_BYTES + 4 + found.value.length, 2);
    const mac = createHmac(sha256 ? 'sha256' : 'sha1', key)
      .update(covered)
      .digest();
    return mac.subarray(0, found.value.length).equals(found.value);
  }

  /** Whether FINGERPRINT is the last attribute and right. */
  get hasRightFingerprint(): boolean {
    const last = this.attributes.at(-1);
    if (last?.type !== ATTR.fingerprint || last.value.length !== 4) return false;
    return last.value.readUInt32BE() === (crc32(this.raw.subarray(0, last.start)) ^ 0x5354554e) >>> 0;
  }
}
