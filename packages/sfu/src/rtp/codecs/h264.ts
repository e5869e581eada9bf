import { type RtpView, readUint16 } from '../header.ts';
import { readH264Size } from './parameter-sets.ts';
import type { PayloadView } from './payload.ts';
import type { CodecReader } from './reader.ts';

const SLICE = 1;
const IDR = 5;
const SPS = 7;
const DELIMITER = 9;
const STAP_A = 24;
const FU_A = 28;

/**
 * H.264: RFC 6184 section 5. A key frame begins with a sequence parameter set where the stream carries them, else with its IDR
 * slice, alone, aggregated or fragmented.
 */
export class H264Reader implements CodecReader {
  /** A picture behind a parameter set does not decode without it: once there are some, an IDR slice alone begins nothing. */
  #carriesParameterSets = false;

  read(packet: Uint8Array, view: RtpView, payload: PayloadView): void {
    payload.reset();
    const { payloadStart: start, payloadEnd: end } = view;
    if (start >= end) return;
    payload.endsFrame = view.marker;
    payload.discardable = ((packet[start] as number) & 0x60) === 0;
    const type = (packet[start] as number) & 31;
    if (type === STAP_A) {
      for (let offset = start + 1; offset + 2 < end; ) {
        const next = offset + 2 + readUint16(packet, offset);
        if (next > end) return;
        this.#readUnit(packet, offset + 2, next, payload);
        offset = next;
      }
    } else if (type === FU_A) {
      if (start + 1 >= end) return;
      const fragment = packet[start + 1] as number;
      if (fragment & 0x80) this.#readSlice(fragment & 31, packet, start + 2, end, payload);
    } else this.#readUnit(packet, start, end, payload);
  }

  #readUnit(packet: Uint8Array, start: number, end: number, payload: PayloadView): void {
    if (start >= end) return;
    const type = (packet[start] as number) & 31;
    if (type === SPS) {
      this.#carriesParameterSets = true;
      payload.startsFrame = payload.startsKeyFrame = true;
      readH264Size(packet, start, end, payload);
    } else if (type === DELIMITER) payload.startsFrame = true;
    else this.#readSlice(type, packet, start + 1, end, payload);
  }

  #readSlice(type: number, packet: Uint8Array, start: number, end: number, payload: PayloadView): void {
    if (type !== SLICE && type !== IDR) return;
    // `first_mb_in_slice` comes first: 0, a single bit 1, in the first slice of a picture.
    if (start >= end || ((packet[start] as number) & 0x80) === 0) return;
    payload.startsFrame = true;
    if (type === IDR && !this.#carriesParameterSets) payload.startsKeyFrame = true;
  }
}
