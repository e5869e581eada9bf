import {
  ATTRIBUTE,
  CLASS,
  fingerprint,
  isChannelData,
  MAGIC_COOKIE,
  messageIntegrity,
  messageType,
  padded,
  STUN_HEADER_BYTES,
} from '@orama/turn/stun';

/** One attribute, wrong ones included. */
export interface Attribute {
  type: number;
  value: Buffer;
  /** What its length field says; the value's own length unless given. */
  saysLength?: number;
}

/** A STUN message taken apart, so that its parts can be changed and put together again. */
export interface LooseMessage {
  type: number;
  transactionId: Buffer;
  attributes: Attribute[];
}

/** Who a message is signed for. */
export interface Credentials {
  username: string;
  realm: string;
  nonce: Buffer;
  key: Buffer;
}

/** Attributes that signing puts in itself. */
const SEALS: readonly number[] = [
  ATTRIBUTE.username,
  ATTRIBUTE.realm,
  ATTRIBUTE.nonce,
  ATTRIBUTE.messageIntegrity,
  ATTRIBUTE.fingerprint,
];

/** Takes a sound message apart; undefined for ChannelData. */
export function takeApart(packet: Buffer): LooseMessage | undefined {
  if (packet.length < STUN_HEADER_BYTES || isChannelData(packet[0] as number)) return undefined;
  const attributes: Attribute[] = [];
  for (let start = STUN_HEADER_BYTES; start + 4 <= packet.length; ) {
    const length = packet.readUInt16BE(start + 2);
    attributes.push({ type: packet.readUInt16BE(start), value: packet.subarray(start + 4, start + 4 + length) });
    start += 4 + padded(length);
  }
  return { type: packet.readUInt16BE(0), transactionId: packet.subarray(8, STUN_HEADER_BYTES), attributes };
}

/** The message without what proves who sent it. */
export function unseal(message: LooseMessage): LooseMessage {
  return { ...message, attributes: message.attributes.filter(({ type }) => !SEALS.includes(type)) };
}

/** Puts a message together, sealed with MESSAGE-INTEGRITY when there are credentials, with FINGERPRINT when asked. */
export function putTogether(message: LooseMessage, credentials?: Credentials, withFingerprint = false): Buffer {
  const parts = [...message.attributes];
  if (credentials !== undefined) {
    parts.push({ type: ATTRIBUTE.username, value: Buffer.from(credentials.username) });
    parts.push({ type: ATTRIBUTE.realm, value: Buffer.from(credentials.realm) });
    parts.push({ type: ATTRIBUTE.nonce, value: credentials.nonce });
  }
  const header = Buffer.alloc(STUN_HEADER_BYTES);
  header.writeUInt16BE(message.type & 0xffff, 0);
  header.writeUInt32BE(MAGIC_COOKIE, 4);
  message.transactionId.copy(header, 8);
  let packet = Buffer.concat([header, ...parts.map(writeAttribute)]);
  if (credentials !== undefined) {
    const value = messageIntegrity(packet, packet.length, credentials.key, 'sha1');
    packet = Buffer.concat([packet, writeAttribute({ type: ATTRIBUTE.messageIntegrity, value })]);
  }
  if (withFingerprint) {
    const start = packet.length;
    packet = Buffer.concat([packet, writeAttribute({ type: ATTRIBUTE.fingerprint, value: Buffer.alloc(4) })]);
    packet.writeUInt16BE((packet.length - STUN_HEADER_BYTES) & 0xffff, 2);
    packet.writeUInt32BE(fingerprint(packet, start), start + 4);
  }
  packet.writeUInt16BE((packet.length - STUN_HEADER_BYTES) & 0xffff, 2);
  return packet;
}

/** A request of one method with the attributes given. */
export function requestOf(method: number, transactionId: Buffer, ...attributes: Attribute[]): LooseMessage {
  return { type: messageType(method, CLASS.request), transactionId, attributes };
}

function writeAttribute({ type, value, saysLength }: Attribute): Buffer {
  const bytes = Buffer.alloc(4 + padded(value.length));
  bytes.writeUInt16BE(type & 0xffff, 0);
  bytes.writeUInt16BE((saysLength ?? value.length) & 0xffff, 2);
  value.copy(bytes, 4);
  return bytes;
}
