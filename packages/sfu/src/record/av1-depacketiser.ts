import type { RtpView } from '../rtp/header.ts';
import { Pieces } from './pieces.ts';

const HAS_SIZE = 0x02;
const HAS_EXTENSION = 0x04;

/** AV1: open bitstream units, each with its size, of the elements of its RTP payload format (section 4.3). */
export class Av1Depacketiser extends Pieces {
  /** A unit that the next packet goes on with. */
  #begun: Uint8Array[] = [];

  add(packet: Buffer, { payloadStart, payloadEnd: end }: RtpView): void {
    const header = packet[payloadStart];
    if (header === undefined) return;
    const [continues, goesOn, count] = [(header & 0x80) !== 0, (header & 0x40) !== 0, (header >> 4) & 3];
    if (!continues) this.#begun = [];
    let offset = payloadStart + 1;
    for (let element = 1; offset < end; element++) {
      const isLast = count === 0 ? false : element === count;
      let bytes = end - offset;
      if (!isLast) {
        const size = readLeb128(packet, offset, end);
        if (!size || size.next + size.value > end) return;
        offset = size.next;
        bytes = size.value;
      }
      this.#begun.push(packet.subarray(offset, offset + bytes));
      offset += bytes;
      if (offset < end || !goesOn) this.#end();
    }
  }

  override take(): Uint8Array {
    this.#begun = [];
    return super.take();
  }

  #end(): void {
    const unit = Buffer.concat(this.#begun.splice(0));
    const header = unit[0];
    if (header === undefined) return;
    if (header & HAS_SIZE) {
      this.pieces.push(unit);
      return;
    }
    const headerBytes = header & HAS_EXTENSION ? 2 : 1;
    const body = unit.subarray(headerBytes);
    const start = Buffer.from([header | HAS_SIZE, ...unit.subarray(1, headerBytes), ...leb128(body.length)]);
    this.pieces.push(start, body);
  }
}

function readLeb128(packet: Buffer, start: number, end: number): { value: number; next: number } | null {
  let value = 0;
  for (let i = 0; i < 4 && start + i < end; i++) {
    const byte = packet[start + i] as number;
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return { value, next: start + i + 1 };
  }
  return null;
}

function leb128(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest & 127) | 128);
  }
}
