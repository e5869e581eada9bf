/** RTP packets that carry a running number in their payload, so that a receiver can tell which ones arrived. */

export type MediaKind = 'audio' | 'video';

export interface NumberedPacket {
  kind: MediaKind;
  ssrc: number;
  payloadType: number;
  sequenceNumber: number;
  timestamp: number;
  /** The running number. */
  number: number;
  /** Video only: the frame can be decoded without an earlier one. */
  keyFrame: boolean;
}

const MAGIC = 0x4f524d41;
const HEADER_BYTES = 12;
const NUMBER_BYTES = 8;
/** Opus, or one VP8 frame in one packet (RFC 7741): descriptor, and for a key frame start code and size. */
const VP8_DESCRIPTOR = 0x10;
const VP8_KEY_FRAME = Buffer.from([0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]);
const VP8_DELTA_FRAME = Buffer.from([0x11, 0x02, 0x00]);

/** A whole RTP packet (RFC 3550), without header extensions. */
export function buildNumberedPacket(packet: NumberedPacket): Buffer {
  const video = packet.keyFrame ? VP8_KEY_FRAME : VP8_DELTA_FRAME;
  const prefix = packet.kind === 'video' ? Buffer.concat([Buffer.from([VP8_DESCRIPTOR]), video]) : Buffer.alloc(1);
  const bytes = Buffer.alloc(HEADER_BYTES + prefix.length + NUMBER_BYTES);
  bytes[0] = 0x80;
  bytes[1] = (packet.kind === 'video' ? 0x80 : 0) | packet.payloadType;
  bytes.writeUInt16BE(packet.sequenceNumber & 0xffff, 2);
  bytes.writeUInt32BE(packet.timestamp >>> 0, 4);
  bytes.writeUInt32BE(packet.ssrc >>> 0, 8);
  prefix.copy(bytes, HEADER_BYTES);
  bytes.writeUInt32BE(MAGIC, bytes.length - NUMBER_BYTES);
  bytes.writeUInt32BE(packet.number >>> 0, bytes.length - 4);
  return bytes;
}

/** Fields of a received packet; null for RTCP and for packets that carry no number (probes, padding). */
export function readNumberedPacket(bytes: Buffer): { ssrc: number; sequenceNumber: number; number: number } | null {
  if (bytes.length < HEADER_BYTES + NUMBER_BYTES || bytes[0] === undefined || bytes[0] >> 6 !== 2) return null;
  const type = bytes.readUInt8(1);
  if (type >= 192 && type <= 223) return null;
  if (bytes.readUInt32BE(bytes.length - NUMBER_BYTES) !== MAGIC) return null;
  return {
    ssrc: bytes.readUInt32BE(8),
    sequenceNumber: bytes.readUInt16BE(2),
    number: bytes.readUInt32BE(bytes.length - 4),
  };
}
