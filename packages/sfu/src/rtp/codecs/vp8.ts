import { type RtpView, readUint16 } from '../header.ts';
import type { PayloadView } from './payload.ts';
import type { CodecReader } from './reader.ts';

/** VP8: payload descriptor of RFC 7741 section 4.2, then the frame header of RFC 6386 section 9.1. */
export class Vp8Reader implements CodecReader {
  read(packet: Uint8Array, view: RtpView, payload: PayloadView): void {
    payload.reset();
    const end = view.payloadEnd;
    let offset = view.payloadStart;
    if (offset >= end) return;
    payload.endsFrame = view.marker;
    const descriptor = packet[offset++] as number;
    const startsFrame = (descriptor & 0x10) !== 0 && (descriptor & 0x07) === 0;
    payload.discardable = (descriptor & 0x20) !== 0;
    if (descriptor & 0x80) {
      if (offset >= end) return;
      const extension = packet[offset++] as number;
      if (extension & 0x80) offset = readPictureId(packet, offset, end, payload);
      if (extension & 0x40) {
        if (offset >= end) return;
        payload.tl0PicIdx = packet[offset] as number;
        payload.tl0PicIdxAt = offset++;
      }
      if (extension & 0x30) {
        if (offset >= end) return;
        const byte = packet[offset] as number;
        if (extension & 0x20) {
          payload.temporalId = byte >> 6;
          payload.beginsTemporal = (byte & 0x20) !== 0;
        }
        if (extension & 0x10) {
          payload.keyIdx = byte & 0x1f;
          payload.keyIdxAt = offset;
        }
        offset++;
      }
    }
    payload.dataAt = offset;
    if (!startsFrame || offset >= end) return;
    payload.startsFrame = true;
    if ((packet[offset] as number) & 1) return;
    payload.startsKeyFrame = true;
    if (offset + 10 > end || readUint16(packet, offset + 3) !== 0x9d01 || packet[offset + 5] !== 0x2a) return;
    payload.setSize(littleEndian14(packet, offset + 6), littleEndian14(packet, offset + 8));
  }
}

/**
 * Reads a picture id of 7 or 15 bits, as VP8 and VP9 write it.
 * @returns the offset behind it; `end` when it is cut off
 */
export function readPictureId(packet: Uint8Array, offset: number, end: number, payload: PayloadView): number {
  if (offset >= end) return end;
  const first = packet[offset] as number;
  if ((first & 0x80) === 0) {
    payload.pictureId = first;
    payload.pictureIdBits = 7;
    payload.pictureIdAt = offset;
    return offset + 1;
  }
  if (offset + 2 > end) return end;
  payload.pictureId = readUint16(packet, offset) & 0x7fff;
  payload.pictureIdBits = 15;
  payload.pictureIdAt = offset;
  return offset + 2;
}

/** The upper two bits are a scale that decoders ignore. */
function littleEndian14(packet: Uint8Array, offset: number): number {
  return (packet[offset] as number) | (((packet[offset + 1] as number) & 0x3f) << 8);
}
