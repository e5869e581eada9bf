import type { RtpView } from '../header.ts';
import { BitReader } from './bits.ts';
import type { PayloadView } from './payload.ts';
import type { CodecReader } from './reader.ts';

const SEQUENCE_HEADER = 1;
/** Most bytes of a `leb128()` number that fits 32 bits (AV1 bitstream, section 4.10.5). */
const LEB128_BYTES = 5;

const bits = new BitReader();

/**
 * AV1: the aggregation header of its RTP payload format, section 4.4. Layers are told by the dependency descriptor only: not every
 * packet says here which it is of.
 */
export class Av1Reader implements CodecReader {
  read(packet: Uint8Array, view: RtpView, payload: PayloadView): void {
    payload.reset();
    const end = view.payloadEnd;
    const start = view.payloadStart;
    if (start + 1 >= end) return;
    const header = packet[start] as number;
    payload.endsFrame = view.marker;
    payload.startsFrame = (header & 0x80) === 0;
    payload.startsKeyFrame = payload.startsFrame && (header & 0x08) !== 0;
    if (payload.startsKeyFrame) readFirstUnit(packet, start + 1, end, (header & 0x30) === 0x10, payload);
  }
}

/** A coded video sequence begins with its sequence header. */
function readFirstUnit(packet: Uint8Array, start: number, end: number, alone: boolean, payload: PayloadView): void {
  let offset = start;
  if (!alone) offset = behindLength(packet, offset, end);
  if (offset >= end) return;
  const header = packet[offset++] as number;
  if (((header >> 3) & 15) !== SEQUENCE_HEADER) return;
  if (header & 0x04) offset++;
  if (header & 0x02) offset = behindLength(packet, offset, end);
  if (offset < end) readSize(packet, offset, end, payload);
}

function behindLength(packet: Uint8Array, start: number, end: number): number {
  for (let offset = start; offset < end && offset < start + LEB128_BYTES; offset++)
    if ((packet[offset] as number) < 128) return offset + 1;
  return end;
}

/** Reads the size of a sequence header (AV1 bitstream, section 5.5.1). */
function readSize(packet: Uint8Array, start: number, end: number, payload: PayloadView): void {
  bits.load(packet, start, end);
  bits.skip(4);
  if (bits.flag()) bits.skip(5);
  else readOperatingPoints();
  const widthBits = bits.read(4) + 1;
  const heightBits = bits.read(4) + 1;
  const width = bits.read(widthBits) + 1;
  const height = bits.read(heightBits) + 1;
  if (!bits.overrun) payload.setSize(width, height);
}

function readOperatingPoints(): void {
  let decoderModel = false;
  let delayBits = 0;
  if (bits.flag()) {
    bits.skip(64);
    if (bits.flag()) bits.exponential();
    decoderModel = bits.flag();
    if (decoderModel) {
      delayBits = bits.read(5) + 1;
      bits.skip(42);
    }
  }
  const displayDelay = bits.flag();
  const points = bits.read(5) + 1;
  for (let i = 0; i < points; i++) {
    bits.skip(12);
    if (bits.read(5) > 7) bits.skip(1);
    if (decoderModel && bits.flag()) bits.skip(2 * delayBits + 1);
    if (displayDelay && bits.flag()) bits.skip(4);
  }
}
