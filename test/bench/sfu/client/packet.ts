const HEADER_BYTES = 12;
const TICKS = 3_000;
/** VP8 payload descriptor (RFC 7741): the start of the first partition. */
const DESCRIPTOR = 0x10;
/** Frame tag, start code and size of a key frame of 640 by 360 (RFC 6386, 9.1). */
const KEY_FRAME = Buffer.from([DESCRIPTOR, 0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
const DELTA_FRAME = Buffer.from([DESCRIPTOR, 0x11, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0]);
const SENT_AT = HEADER_BYTES + KEY_FRAME.length;

/** An RTP packet of VP8, one picture each; `stampPacket` makes it the next one. @param size of the whole packet */
export function buildPacket(ssrc: number, payloadType: number, size: number): Buffer {
  const packet = Buffer.alloc(size);
  packet[0] = 0x80;
  packet[1] = 0x80 | payloadType;
  packet.writeUInt32BE(ssrc, 8);
  return packet;
}

/** Gives a packet its number, its kind of picture, and the time at which it is made. In place: a client that makes garbage measures itself. */
export function stampPacket(packet: Buffer, sequence: number, isKey: boolean): void {
  packet.writeUInt16BE(sequence & 0xffff, 2);
  packet.writeUInt32BE((sequence * TICKS) >>> 0, 4);
  (isKey ? KEY_FRAME : DELTA_FRAME).copy(packet, HEADER_BYTES);
  packet.writeDoubleBE(nowMs(), SENT_AT);
}

/** When a packet was made, by the machine's monotonic clock; the header may have grown by extensions on its way. */
export function sentAtMs(packet: Buffer): number {
  return packet.readDoubleBE(SENT_AT + extensionBytes(packet));
}

/** The SSRC of a media packet; null for RTCP and for padding. */
export function ssrcOf(packet: Buffer): number | null {
  const second = packet[1] ?? 0;
  const isRtcp = second >= 192 && second <= 223;
  return isRtcp || packet.length < SENT_AT + 8 + extensionBytes(packet) ? null : packet.readUInt32BE(8);
}

/** Whether it asks for a key frame (RFC 4585, 6.3.1; RFC 5104, 4.3.1). Only such feedback leads a compound here. */
export function asksForKeyFrame(packet: Buffer): boolean {
  for (let at = 0; at + 8 <= packet.length; at += (packet.readUInt16BE(at + 2) + 1) * 4) {
    const format = (packet[at] as number) & 31;
    if (packet[at + 1] === 206 && (format === 1 || format === 4)) return true;
  }
  return false;
}

/** The machine's monotonic clock, the same in every process. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03). */
export function buildRemb(mediaSsrc: number, bitrateBps: number): Buffer {
  const packet = Buffer.alloc(24);
  const exponent = Math.max(0, Math.ceil(Math.log2(bitrateBps / 0x3ffff)));
  const mantissa = Math.floor(bitrateBps / 2 ** exponent);
  packet.set([0x8f, 206, 0, 5]);
  packet.writeUInt32BE(1, 4);
  packet.write('REMB', 12, 'latin1');
  packet.set([1, (exponent << 2) | (mantissa >> 16), (mantissa >> 8) & 0xff, mantissa & 0xff], 16);
  packet.writeUInt32BE(mediaSsrc, 20);
  return packet;
}

function extensionBytes(packet: Buffer): number {
  return (packet[0] as number) & 0x10 ? 4 + packet.readUInt16BE(HEADER_BYTES + 2) * 4 : 0;
}
