import { PayloadReader } from '../rtp/codecs/reader.ts';
import type { RtpView } from '../rtp/header.ts';
import { depacketiserOf } from './depacketisers.ts';
import type { Depacketiser } from './pieces.ts';
import { readVp9Size } from './vp9-size.ts';

/** One encoded picture, or one packet of sound. */
export interface Frame {
  data: Uint8Array;
  /** Of its RTP packets. */
  timestamp: number;
  isKey: boolean;
  /** Pixels; 0 where the frame does not tell. */
  width: number;
  height: number;
}

/** Makes frames of the packets of one stream, which come in order. */
export class FrameAssembler {
  readonly #payloads: PayloadReader;
  readonly #depacketiser: Depacketiser;
  #frame: Omit<Frame, 'data'> | null = null;
  readonly #isVp9: boolean;
  #waitsForKey = true;

  /** @param codec as in SDP */
  constructor(codec: string) {
    this.#payloads = new PayloadReader(codec);
    this.#depacketiser = depacketiserOf(codec);
    this.#isVp9 = codec.toLowerCase() === 'vp9';
  }

  /** Nothing can be decoded before the next key frame. */
  get waitsForKey(): boolean {
    return this.#waitsForKey;
  }

  /** Packets were lost: what was begun is dropped, and what follows up to a key frame. */
  interrupt(): void {
    this.#drop();
    this.#waitsForKey = true;
  }

  /** Takes the next packet; gives the frame that it ends. */
  push(packet: Buffer, view: RtpView): Frame | null {
    const { payload, timestamp } = view;
    this.#payloads.read(packet, view);
    if (this.#frame && this.#frame.timestamp !== timestamp) this.interrupt();
    if (this.#waitsForKey && !payload.startsKeyFrame && !this.#frame) return null;
    this.#frame ??= { timestamp, isKey: false, width: 0, height: 0 };
    if (payload.startsKeyFrame) this.#frame.isKey = true;
    if (payload.spatialLayers > 0) {
      this.#frame.width = payload.widths[payload.spatialLayers - 1] as number;
      this.#frame.height = payload.heights[payload.spatialLayers - 1] as number;
    }
    this.#depacketiser.add(packet, view);
    if (!view.marker && !this.#depacketiser.isWhole) return null;
    const data = this.#depacketiser.take();
    const frame = this.#frame;
    this.#frame = null;
    if (data.length === 0) return null;
    this.#waitsForKey = false;
    const size = this.#isVp9 && frame.isKey && frame.width === 0 ? readVp9Size(data) : null;
    return { ...frame, ...size, data };
  }

  #drop(): void {
    this.#frame = null;
    this.#depacketiser.take();
  }
}
