import { createHmac, timingSafeEqual } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { crc32 } from 'node:zlib';
import { expandIpv6 } from '@orama/core';

/** Message types of Binding (RFC 8489 section 5). */
export const BINDING = { request: 0x0001, success: 0x0101, error: 0x0111 } as const;

const MAGIC_COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const INTEGRITY_BYTES = 20;
const FINGERPRINT_XOR = 0x5354554e;
const TYPE = {
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  xorMappedAddress: 0x0020,
  priority: 0x0024,
  useCandidate: 0x0025,
  fingerprint: 0x8028,
  iceControlled: 0x8029,
  iceControlling: 0x802a,
} as const;

/** A short-term credential of ICE (RFC 8445 section 5.3): `a=ice-ufrag` and `a=ice-pwd`. */
export interface IceCredential {
  readonly ufrag: string;
  readonly password: string;
}

/** What ICE reads from a Binding message. */
export interface BindingMessage {
  /** One of `BINDING`, or another class or method. */
  type: number;
  transactionId: Buffer;
  /** `<receiver's ufrag>:<sender's ufrag>`; '' without. */
  username: string;
  priority: number;
  useCandidate: boolean;
  /** Role of the sender; null when it names none. */
  role: 'controlling' | 'controlled' | null;
  /** Its tie-breaker is zero: valid (RFC 8445 section 16.1), and what libjuice takes for an absent attribute. */
  zeroTieBreaker: boolean;
  /** Where MESSAGE-INTEGRITY begins; 0 without. */
  integrityAt: number;
}

/** Whether a datagram is STUN, by its first bits and the magic cookie (RFC 7983 section 7). */
export function isStun(datagram: Buffer): boolean {
  return datagram.length >= HEADER_BYTES && (datagram[0] as number) < 4 && datagram.readUInt32BE(4) === MAGIC_COOKIE;
}

/** Reads a datagram for which `isStun` holds; null when its attributes do not add up. */
export function readBinding(datagram: Buffer): BindingMessage | null {
  const end = HEADER_BYTES + datagram.readUInt16BE(2);
  if (end !== datagram.length || end % 4 !== 0) return null;
  const message: BindingMessage = {
    type: datagram.readUInt16BE(0),
    transactionId: datagram.subarray(8, HEADER_BYTES),
    username: '',
    priority: 0,
    useCandidate: false,
    role: null,
    zeroTieBreaker: false,
    integrityAt: 0,
  };
  for (let at = HEADER_BYTES; at < end; ) {
    const type = datagram.readUInt16BE(at);
    const length = datagram.readUInt16BE(at + 2);
    const value = at + 4;
    const next = value + ((length + 3) & ~3);
    if (next > end) return null;
    // What follows MESSAGE-INTEGRITY is not covered by it (RFC 8489 section 14.5).
    if (type === TYPE.messageIntegrity && length === INTEGRITY_BYTES) {
      message.integrityAt = at;
      return message;
    }
    readAttribute(message, type, datagram.subarray(value, value + length));
    at = next;
  }
  return message;
}

function readAttribute(message: BindingMessage, type: number, value: Buffer): void {
  if (type === TYPE.username) message.username = value.toString('utf8');
  else if (type === TYPE.useCandidate) message.useCandidate = true;
  else if (type === TYPE.priority && value.length === 4) message.priority = value.readUInt32BE(0);
  else if ((type === TYPE.iceControlling || type === TYPE.iceControlled) && value.length === 8) {
    message.role = type === TYPE.iceControlling ? 'controlling' : 'controlled';
    message.zeroTieBreaker = value.readBigUInt64BE(0) === 0n;
  }
}

/** Compares MESSAGE-INTEGRITY with what `password` gives, in constant time. */
export function hasIntegrity(datagram: Buffer, message: BindingMessage, password: string): boolean {
  const { integrityAt } = message;
  if (integrityAt === 0) return false;
  const given = datagram.subarray(integrityAt + 4, integrityAt + 4 + INTEGRITY_BYTES);
  return timingSafeEqual(given, integrityOf(datagram, integrityAt, password));
}

/** A connectivity check (RFC 8445 section 7.1). */
export function buildCheck(check: {
  transactionId: Buffer;
  username: string;
  password: string;
  priority: number;
  role: 'controlling' | 'controlled';
  tieBreaker: Buffer;
  useCandidate: boolean;
}): Buffer {
  const priority = Buffer.alloc(4);
  priority.writeUInt32BE(check.priority >>> 0);
  const attributes: [number, Buffer][] = [
    [TYPE.username, Buffer.from(check.username)],
    [TYPE.priority, priority],
    [check.role === 'controlling' ? TYPE.iceControlling : TYPE.iceControlled, check.tieBreaker],
  ];
  if (check.useCandidate) attributes.push([TYPE.useCandidate, Buffer.alloc(0)]);
  return build(BINDING.request, check.transactionId, attributes, check.password);
}

/** The answer to a check: where it came from (RFC 8445 section 7.3.1.2). */
export function buildSuccess(
  transactionId: Buffer,
  source: { address: string; port: number },
  password: string,
): Buffer {
  return build(BINDING.success, transactionId, [[TYPE.xorMappedAddress, xorAddress(source, transactionId)]], password);
}

/** Refuses a check for good: 400 (Bad Request) makes the sender give the candidate pair up. */
export function buildRefusal(transactionId: Buffer, password: string): Buffer {
  const value = Buffer.concat([Buffer.from([0, 0, 4, 0]), Buffer.from('Bad Request')]);
  return build(BINDING.error, transactionId, [[TYPE.errorCode, value]], password);
}

function build(type: number, transactionId: Buffer, attributes: [number, Buffer][], password: string): Buffer {
  const covered = attributes.reduce((sum, [, value]) => sum + 4 + ((value.length + 3) & ~3), HEADER_BYTES);
  const message = Buffer.alloc(covered + 4 + INTEGRITY_BYTES + 8);
  message.writeUInt16BE(type, 0);
  message.writeUInt16BE(message.length - HEADER_BYTES, 2);
  message.writeUInt32BE(MAGIC_COOKIE, 4);
  transactionId.copy(message, 8);
  let at = HEADER_BYTES;
  for (const [attribute, value] of attributes) {
    message.writeUInt16BE(attribute, at);
    message.writeUInt16BE(value.length, at + 2);
    value.copy(message, at + 4);
    at += 4 + ((value.length + 3) & ~3);
  }
  message.writeUInt16BE(TYPE.messageIntegrity, at);
  message.writeUInt16BE(INTEGRITY_BYTES, at + 2);
  integrityOf(message, at, password).copy(message, at + 4);
  at += 4 + INTEGRITY_BYTES;
  message.writeUInt16BE(TYPE.fingerprint, at);
  message.writeUInt16BE(4, at + 2);
  message.writeUInt32BE((crc32(message.subarray(0, at)) ^ FINGERPRINT_XOR) >>> 0, at + 4);
  return message;
}

// RFC 8489 section 14.5: over everything before the attribute, with a length as if the message ended behind it.
function integrityOf(message: Buffer, at: number, password: string): Buffer {
  const head = Buffer.from(message.subarray(0, 4));
  head.writeUInt16BE(at + 4 + INTEGRITY_BYTES - HEADER_BYTES, 2);
  return createHmac('sha1', password).update(head).update(message.subarray(4, at)).digest();
}

// RFC 8489 section 14.2.
function xorAddress({ address, port }: { address: string; port: number }, transactionId: Buffer): Buffer {
  const bytes = isIPv6(address)
    ? expandIpv6(address).flatMap((group) => [group >> 8, group & 0xff])
    : address.split('.').map(Number);
  const mask = Buffer.alloc(16);
  mask.writeUInt32BE(MAGIC_COOKIE);
  transactionId.copy(mask, 4);
  const value = Buffer.alloc(4 + bytes.length);
  value[1] = bytes.length === 4 ? 1 : 2;
  value.writeUInt16BE(port ^ (MAGIC_COOKIE >>> 16), 2);
  for (const [i, byte] of bytes.entries()) value[4 + i] = byte ^ (mask[i] as number);
  return value;
}
