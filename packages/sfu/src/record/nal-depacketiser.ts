import { type RtpView, readUint16 } from '../rtp/header.ts';
import { Pieces } from './pieces.ts';

const START_CODE = Buffer.from([0, 0, 0, 1]);

/** H.264 (RFC 6184) and H.265 (RFC 7798): NAL units with start codes before them (annex B of either standard). */
export class NalDepacketiser extends Pieces {
  readonly #isH265: boolean;

  constructor(codec: 'h264' | 'h265') {
    super();
    this.#isH265 = codec === 'h265';
  }

  add(packet: Buffer, { payloadStart: start, payloadEnd: end }: RtpView): void {
    const headerBytes = this.#isH265 ? 2 : 1;
    if (start + headerBytes >= end) return;
    const first = packet[start] as number;
    const type = this.#isH265 ? (first >> 1) & 63 : first & 31;
    if (type === (this.#isH265 ? 48 : 24)) this.#addAggregated(packet, start + headerBytes, end);
    else if (type === (this.#isH265 ? 49 : 28)) this.#addFragment(packet, start, end, headerBytes);
    else this.pieces.push(START_CODE, packet.subarray(start, end));
  }

  #addAggregated(packet: Buffer, start: number, end: number): void {
    for (let offset = start; offset + 2 < end; ) {
      const next = offset + 2 + readUint16(packet, offset);
      if (next > end) return;
      this.pieces.push(START_CODE, packet.subarray(offset + 2, next));
      offset = next;
    }
  }

  // The unit's type is in the fragmentation header, the rest of its header in the payload's.
  #addFragment(packet: Buffer, start: number, end: number, headerBytes: number): void {
    const fragment = packet[start + headerBytes];
    if (fragment === undefined) return;
    if (fragment & 0x80) {
      const first = packet[start] as number;
      const header = this.#isH265
        ? [(first & 0x81) | ((fragment & 63) << 1), packet[start + 1] as number]
        : [(first & 0xe0) | (fragment & 31)];
      this.pieces.push(START_CODE, Buffer.from(header));
    }
    this.pieces.push(packet.subarray(start + headerBytes + 1, end));
  }
}
