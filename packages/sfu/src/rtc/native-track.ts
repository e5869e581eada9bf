import type { Track } from 'node-datachannel';
import { guard } from './guard.ts';

/** One m-line of libdatachannel and its media: whole RTP and RTCP packets. */
export class NativeTrack {
  readonly mid: string;
  readonly kind: 'audio' | 'video';
  /** Called with every packet, its bytes the receiver's to change. */
  onPacket: ((packet: Buffer) => void) | null = null;
  readonly #native: Track;
  #open: boolean;
  #closed = false;
  #onOpen: (() => void)[] = [];

  constructor(native: Track, onFault: (thrown: unknown) => void) {
    this.#native = native;
    this.mid = native.mid();
    this.kind = native.type() === 'audio' ? 'audio' : 'video';
    this.#open = native.isOpen();
    const isClosed = () => this.#closed;
    native.onOpen(guard(isClosed, onFault, () => this.#opened()));
    native.onClosed(
      guard(isClosed, onFault, () => {
        this.#open = false;
      }),
    );
    native.onMessage(guard(isClosed, onFault, (packet: Buffer) => this.onPacket?.(packet)));
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Calls `run` once packets can be sent: now or later. Never after close. */
  whenOpen(run: () => void): void {
    if (this.#open) run();
    else if (!this.#closed) this.#onOpen.push(run);
  }

  /** Sends one RTP or RTCP packet, which is copied. False when it could not be sent; never throws. */
  send(packet: Buffer): boolean {
    if (!this.#open) return false;
    try {
      return this.#native.sendMessageBinary(packet);
    } catch {
      return false;
    }
  }

  /** No callback after this. The native track is closed too: its callbacks hold us, and we hold it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#open = false;
    this.onPacket = null;
    this.#onOpen = [];
    this.#native.close();
  }

  #opened(): void {
    this.#open = true;
    const waiting = this.#onOpen;
    this.#onOpen = [];
    for (const run of waiting) run();
  }
}
