import type { RtpView } from '../header.ts';
import { Av1Reader } from './av1.ts';
import { DependencyDescriptors } from './dependency-descriptor.ts';
import { H264Reader } from './h264.ts';
import { H265Reader } from './h265.ts';
import type { PayloadView } from './payload.ts';
import { Vp8Reader } from './vp8.ts';
import { Vp9Reader } from './vp9.ts';

/** Reads the payloads of one codec in one RTP stream. */
export interface CodecReader {
  /** Fills `payload` anew from a packet. Total: what is malformed reads as a packet in the middle of a frame. */
  read(packet: Uint8Array, view: RtpView, payload: PayloadView): void;
}

/** Codecs without key frames and layers, audio that is: every packet stands for itself. */
class PlainReader implements CodecReader {
  read(_packet: Uint8Array, _view: RtpView, payload: PayloadView): void {
    payload.reset();
    payload.startsKeyFrame = payload.startsFrame = payload.endsFrame = true;
  }
}

/** Fills `RtpView.payload` for the packets of one RTP stream. Total and without allocations. */
export class PayloadReader {
  readonly #codec: CodecReader;
  readonly #descriptors = new DependencyDescriptors();

  /** @param codec as in SDP */
  constructor(codec: string) {
    this.#codec = createReader(codec.toLowerCase());
  }

  /**
   * Reads a packet for the first time.
   * @param view as `readRtp` and `renumberExtensions` filled it
   */
  read(packet: Uint8Array, view: RtpView): void {
    this.#codec.read(packet, view, view.payload);
    const at = view.dependencyAt;
    if (at > 0) this.#descriptors.read(packet, at, at + view.dependencyBytes, view.payload);
  }

  /** Reads a packet once more, to repeat it: what it says of frames to come is not learned again. */
  readAgain(packet: Uint8Array, view: RtpView): void {
    this.#codec.read(packet, view, view.payload);
    const at = view.dependencyAt;
    if (at > 0) this.#descriptors.readAgain(packet, at, at + view.dependencyBytes, view.payload);
  }
}

function createReader(codec: string): CodecReader {
  switch (codec) {
    case 'vp8':
      return new Vp8Reader();
    case 'vp9':
      return new Vp9Reader();
    case 'h264':
      return new H264Reader();
    case 'h265':
      return new H265Reader();
    case 'av1':
      return new Av1Reader();
    default:
      return new PlainReader();
  }
}
