import { type RtpView, readUint16 } from '../header.ts';
import { readH265Size } from './parameter-sets.ts';
import type { PayloadView } from './payload.ts';
import type { CodecReader } from './reader.ts';

/** NAL unit types (H.265 table 7-1). Slices end at 31; those of the sub-layers that nothing refers to are even and below 16. */
const LAST_NON_REFERENCE = 14;
const FIRST_TSA = 2;
const LAST_STSA = 5;
const FIRST_IRAP = 16;
const LAST_IRAP = 23;
const LAST_SLICE = 31;
const VPS = 32;
const SPS = 33;
const DELIMITER = 35;
const AGGREGATION = 48;
const FRAGMENTATION = 49;

/** H.265: RFC 7798 section 4.4. A key frame begins with its parameter sets where the stream carries them, else with its first slice. */
export class H265Reader implements CodecReader {
  #carriesParameterSets = false;

  read(packet: Uint8Array, view: RtpView, payload: PayloadView): void {
    payload.reset();
    const { payloadStart: start, payloadEnd: end } = view;
    if (start + 2 > end) return;
    payload.endsFrame = view.marker;
    payload.temporalId = Math.max(0, ((packet[start + 1] as number) & 7) - 1);
    const type = typeOf(packet, start);
    if (type === AGGREGATION) {
      for (let offset = start + 2; offset + 2 < end; ) {
        const next = offset + 2 + readUint16(packet, offset);
        if (next > end) return;
        this.#readUnit(packet, offset + 2, next, payload);
        offset = next;
      }
    } else if (type === FRAGMENTATION) {
      if (start + 2 >= end) return;
      const fragment = packet[start + 2] as number;
      if (fragment & 0x80) this.#readSlice(fragment & 63, packet, start + 3, end, payload);
    } else this.#readUnit(packet, start, end, payload);
  }

  #readUnit(packet: Uint8Array, start: number, end: number, payload: PayloadView): void {
    if (start + 2 > end) return;
    const type = typeOf(packet, start);
    if (type === VPS || type === SPS) {
      this.#carriesParameterSets = true;
      payload.startsFrame = payload.startsKeyFrame = true;
      if (type === SPS) readH265Size(packet, start, end, payload);
    } else if (type === DELIMITER) payload.startsFrame = true;
    else this.#readSlice(type, packet, start + 2, end, payload);
  }

  #readSlice(type: number, packet: Uint8Array, start: number, end: number, payload: PayloadView): void {
    if (type > LAST_SLICE) return;
    payload.discardable = type <= LAST_NON_REFERENCE && type % 2 === 0;
    payload.beginsTemporal = type >= FIRST_TSA && type <= LAST_STSA;
    // `first_slice_segment_in_pic_flag` comes first.
    if (start >= end || ((packet[start] as number) & 0x80) === 0) return;
    payload.startsFrame = true;
    if (type >= FIRST_IRAP && type <= LAST_IRAP && !this.#carriesParameterSets) payload.startsKeyFrame = true;
  }
}

function typeOf(packet: Uint8Array, at: number): number {
  return ((packet[at] as number) >> 1) & 63;
}
