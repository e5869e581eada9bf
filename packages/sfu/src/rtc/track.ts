import { changedIds } from '../rtp/extensions.ts';
import type { NativeTrack } from './native-track.ts';

/** One m-line's media: whole RTP and RTCP packets, all of which ride on one native track (see Bundle). */
export class RtcTrack {
  readonly mid: string;
  readonly kind: 'audio' | 'video';
  /** Called with every packet, its bytes the receiver's to change. */
  onPacket: ((packet: Buffer) => void) | null = null;
  readonly #carrier: NativeTrack;
  #extensionIds: Uint8Array | null = null;
  #changedIds = 0;
  #closed = false;

  constructor(mid: string, kind: 'audio' | 'video', carrier: NativeTrack) {
    this.mid = mid;
    this.kind = kind;
    this.#carrier = carrier;
  }

  /**
   * By forwarded id (FORWARDED_EXTENSION_IDS) the one that the peer gave the element on the m-line, 0 for one that was not
   * agreed there; null where all are the same.
   */
  get extensionIds(): Uint8Array | null {
    return this.#extensionIds;
  }

  set extensionIds(ids: Uint8Array | null) {
    this.#extensionIds = ids;
    this.#changedIds = ids === null ? 0 : changedIds(ids);
  }

  /** A bit for every forwarded id that is another there, or none: packets with such elements need translation. */
  get changedIds(): number {
    return this.#changedIds;
  }

  get isOpen(): boolean {
    return this.#carrier.isOpen && !this.#closed;
  }

  /** Calls `run` once packets can be sent: now or later. Never after close. */
  whenOpen(run: () => void): void {
    this.#carrier.whenOpen(() => {
      if (!this.#closed) run();
    });
  }

  /** Sends one RTP or RTCP packet, which is copied. False when it could not be sent; never throws. */
  send(packet: Buffer): boolean {
    return !this.#closed && this.#carrier.send(packet);
  }

  /** No callback after this. */
  close(): void {
    this.#closed = true;
    this.onPacket = null;
  }
}
