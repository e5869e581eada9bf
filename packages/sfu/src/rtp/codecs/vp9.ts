import { type RtpView, readUint16 } from '../header.ts';
import type { PayloadView } from './payload.ts';
import type { CodecReader } from './reader.ts';
import { readPictureId } from './vp8.ts';

/** VP9: payload descriptor of RFC 9628 section 4.2. */
export class Vp9Reader implements CodecReader {
  read(packet: Uint8Array, view: RtpView, payload: PayloadView): void {
    payload.reset();
    const end = view.payloadEnd;
    let offset = view.payloadStart;
    if (offset >= end) return;
    const descriptor = packet[offset++] as number;
    const interPredicted = (descriptor & 0x40) !== 0;
    const flexible = (descriptor & 0x10) !== 0;
    if (descriptor & 0x80) offset = readPictureId(packet, offset, end, payload);
    if (descriptor & 0x20) {
      if (offset >= end) return;
      const layers = packet[offset++] as number;
      payload.temporalId = layers >> 5;
      payload.opensHigherTemporal = (layers & 0x10) !== 0;
      payload.spatialId = (layers >> 1) & 7;
      if (!flexible) {
        if (offset >= end) return;
        payload.tl0PicIdx = packet[offset] as number;
        payload.tl0PicIdxAt = offset++;
      }
    }
    if (flexible && interPredicted) {
      let more = true;
      for (let i = 0; i < 3 && more; i++) {
        if (offset >= end) return;
        more = ((packet[offset++] as number) & 1) !== 0;
      }
    }
    if (offset >= end) return;
    payload.startsFrame = (descriptor & 0x08) !== 0;
    payload.endsFrame = (descriptor & 0x04) !== 0;
    payload.startsKeyFrame = payload.startsFrame && !interPredicted && payload.spatialId === 0;
    payload.dataAt = descriptor & 0x02 ? readStructure(packet, offset, end, payload) : offset;
  }
}

/**
 * The sizes of the scalability structure (RFC 9628 section 4.2.1); the pictures it describes are of no use to us.
 * @returns the offset behind it; 0 when it is cut off
 */
function readStructure(packet: Uint8Array, start: number, end: number, payload: PayloadView): number {
  const head = packet[start] as number;
  let offset = start + 1;
  if (head & 0x10) {
    const layers = (head >> 5) + 1;
    if (offset + layers * 4 > end) return 0;
    for (let i = 0; i < layers; i++) {
      payload.widths[i] = readUint16(packet, offset + i * 4);
      payload.heights[i] = readUint16(packet, offset + 2 + i * 4);
    }
    payload.spatialLayers = layers;
    offset += layers * 4;
  }
  if (head & 0x08) {
    const pictures = packet[offset++] ?? 0;
    for (let i = 0; i < pictures; i++) offset += 1 + (((packet[offset] ?? 0) >> 2) & 3);
  }
  return offset < end ? offset : 0;
}
