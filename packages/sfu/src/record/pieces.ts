import type { RtpView } from '../rtp/header.ts';

/** Puts the payloads of one frame together as the codec's files want them. Total: malformed payloads add nothing. */
export interface Depacketiser {
  /** Every packet is a frame of its own. */
  readonly isWhole: boolean;
  add(packet: Buffer, view: RtpView): void;
  /** What was added since the last time. */
  take(): Uint8Array;
}

/** Collects pieces of a frame. */
export abstract class Pieces implements Depacketiser {
  readonly isWhole: boolean = false;
  protected readonly pieces: Uint8Array[] = [];

  abstract add(packet: Buffer, view: RtpView): void;

  take(): Uint8Array {
    return Buffer.concat(this.pieces.splice(0));
  }
}
