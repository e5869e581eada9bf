import { randomBytes } from 'node:crypto';

const PAYLOAD_TYPE = 111;
const HEADER_BYTES = 12;
const MARK_BYTES = 8;
/** Ticks of a 48 kHz clock. */
const TICKS_PER_PACKET = 960;
export const PACKET_INTERVAL_MS = 20;
/** As an m-line offers it. */
export const SILENCE_CODEC = { name: 'opus', payloadType: PAYLOAD_TYPE, fmtp: 'minptime=10;useinbandfec=1' };
/** One Opus frame of 20 ms without sound (RFC 6716 section 3.1): code 0, CELT, full band. */
const SILENCE = Buffer.from([0xf8, 0xff, 0xfe]);

/** A stream of RTP packets (RFC 3550) with silence in Opus, each ending in a mark that no other stream has. */
export class Silence {
  readonly ssrc = randomBytes(4).readUInt32BE();
  readonly mark = randomBytes(MARK_BYTES);
  /** Packets so far. */
  count = 0;

  next(): Buffer {
    const packet = Buffer.alloc(HEADER_BYTES);
    packet[0] = 0x80;
    packet[1] = PAYLOAD_TYPE;
    packet.writeUInt16BE(this.count & 0xffff, 2);
    packet.writeUInt32BE((this.count * TICKS_PER_PACKET) >>> 0, 4);
    packet.writeUInt32BE(this.ssrc, 8);
    this.count += 1;
    return Buffer.concat([packet, SILENCE, this.mark]);
  }

  /** Whether a packet is of this stream, whatever its header became on the way. */
  owns(packet: Buffer): boolean {
    return packet.length > HEADER_BYTES + MARK_BYTES && packet.subarray(-MARK_BYTES).equals(this.mark);
  }
}
