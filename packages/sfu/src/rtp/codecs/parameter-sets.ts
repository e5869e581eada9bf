import { BitReader } from './bits.ts';
import type { PayloadView } from './payload.ts';

/** Sizes come early in a parameter set: so many bytes of it are looked at. */
const LOOKED_AT_BYTES = 256;
/** Profiles whose parameter sets begin with the chroma format (H.264 section 7.3.2.1.1). */
const CHROMA_PROFILES: ReadonlySet<number> = new Set([44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244]);

const scratch = new Uint8Array(LOOKED_AT_BYTES);
const bits = new BitReader();

/** Reads the picture size of an H.264 sequence parameter set (section 7.3.2.1.1). `start` is the NAL unit header. */
export function readH264Size(packet: Uint8Array, start: number, end: number, payload: PayloadView): void {
  bits.load(scratch, 0, removeEscapes(packet, start + 1, end));
  const profile = bits.read(8);
  bits.skip(16);
  bits.exponential();
  let chromaFormat = 1;
  if (CHROMA_PROFILES.has(profile)) {
    chromaFormat = bits.exponential();
    if (chromaFormat === 3 && bits.flag()) chromaFormat = 0;
    bits.exponential();
    bits.exponential();
    bits.skip(1);
    if (bits.flag()) skipScalingLists(chromaFormat === 3 ? 12 : 8);
  }
  bits.exponential();
  const orderType = bits.exponential();
  if (orderType === 0) bits.exponential();
  else if (orderType === 1) {
    bits.skip(1);
    bits.exponential();
    bits.exponential();
    for (let left = bits.exponential(); left > 0 && !bits.overrun; left--) bits.exponential();
  }
  bits.exponential();
  bits.skip(1);
  const macroblocksWide = bits.exponential() + 1;
  const mapUnitsHigh = bits.exponential() + 1;
  const fieldsInFrame = bits.flag() ? 1 : 2;
  if (fieldsInFrame === 2) bits.skip(1);
  bits.skip(1);
  let width = macroblocksWide * 16;
  let height = mapUnitsHigh * 16 * fieldsInFrame;
  if (bits.flag()) {
    width -= (bits.exponential() + bits.exponential()) * horizontalUnit(chromaFormat);
    height -= (bits.exponential() + bits.exponential()) * verticalUnit(chromaFormat) * fieldsInFrame;
  }
  if (!bits.overrun) payload.setSize(width, height);
}

/** Reads the picture size of an H.265 sequence parameter set (section 7.3.2.2). `start` is the NAL unit header. */
export function readH265Size(packet: Uint8Array, start: number, end: number, payload: PayloadView): void {
  bits.load(scratch, 0, removeEscapes(packet, start + 2, end));
  bits.skip(4);
  const subLayers = bits.read(3);
  bits.skip(1);
  bits.skip(96);
  let present = 0;
  for (let i = 0; i < subLayers; i++) present += (bits.flag() ? 88 : 0) + (bits.flag() ? 8 : 0);
  if (subLayers > 0) bits.skip((8 - subLayers) * 2);
  bits.skip(present);
  bits.exponential();
  let chromaFormat = bits.exponential();
  if (chromaFormat === 3 && bits.flag()) chromaFormat = 0;
  let width = bits.exponential();
  let height = bits.exponential();
  if (bits.flag()) {
    width -= (bits.exponential() + bits.exponential()) * horizontalUnit(chromaFormat);
    height -= (bits.exponential() + bits.exponential()) * verticalUnit(chromaFormat);
  }
  if (!bits.overrun) payload.setSize(width, height);
}

/** Samples in a unit of cropping (H.264 table 6-1). */
function horizontalUnit(chromaFormat: number): number {
  return chromaFormat === 1 || chromaFormat === 2 ? 2 : 1;
}

function verticalUnit(chromaFormat: number): number {
  return chromaFormat === 1 ? 2 : 1;
}

function skipScalingLists(count: number): void {
  for (let i = 0; i < count; i++) {
    const present = bits.flag();
    if (present) skipScalingList(i < 6 ? 16 : 64);
  }
}

function skipScalingList(size: number): void {
  let last = 8;
  for (let i = 0; i < size && last !== 0 && !bits.overrun; i++) {
    const code = bits.exponential();
    last = (last + (code & 1 ? (code + 1) / 2 : -code / 2) + 256) & 255;
  }
}

/** Leaves out the bytes that keep start codes from appearing (H.264 section 7.4.1); returns how many remain. */
function removeEscapes(packet: Uint8Array, start: number, end: number): number {
  let length = 0;
  let zeros = 0;
  for (let i = start; i < end && length < LOOKED_AT_BYTES; i++) {
    const byte = packet[i] as number;
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    scratch[length++] = byte;
  }
  return length;
}
