import type { DataChannel } from 'node-datachannel';
import { guard } from './guard.ts';

/** How a channel delivers (RFC 8832 section 5.1); reliable and in order unless it says otherwise. */
export interface ChannelReliability {
  ordered: boolean;
  /** Repeats of a lost message at most. */
  maxRetransmits?: number | undefined;
  /** Milliseconds in which a lost message is repeated. */
  maxPacketLifeTime?: number | undefined;
}

export interface ChannelInit extends ChannelReliability {
  /** Subprotocol field of DATA_CHANNEL_OPEN (RFC 8832 section 5.1). */
  protocol: string;
}

/** A text or binary message, kept apart as on the wire (RFC 8831 section 6.6). */
export type ChannelMessage = string | Buffer;

/** A data channel with its edges taken off: no call throws, no callback can end the process, none comes after the end. */
export class RtcChannel {
  readonly label: string;
  readonly protocol: string;
  onOpen: (() => void) | null = null;
  onMessage: ((message: ChannelMessage) => void) | null = null;
  /** The peer closed it, or its connection ended. Called once, and not for `close()`. */
  onClosed: (() => void) | null = null;
  readonly #onFault: (thrown: unknown) => void;
  #native: DataChannel | null = null;
  #owner: Set<RtcChannel> | null = null;
  #ended = false;

  constructor(label: string, protocol: string, onFault: (thrown: unknown) => void) {
    this.label = label;
    this.protocol = protocol;
    this.#onFault = onFault;
  }

  get isOpen(): boolean {
    return this.#ask((native) => native.isOpen()) === true;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Bytes that were sent and that the network did not take yet. */
  get bufferedAmount(): number {
    return this.#ask((native) => native.bufferedAmount()) ?? 0;
  }

  /**
   * Gives it its native channel.
   * @param owner holds it for as long as it lives, because a collected wrapper closes its channel
   */
  bind(native: DataChannel, owner: Set<RtcChannel>): void {
    if (this.#ended) {
      native.close();
      return;
    }
    this.#native = native;
    this.#owner = owner;
    owner.add(this);
    const guarded = <A extends unknown[]>(run: (...args: A) => void) => guard(() => this.#ended, this.#onFault, run);
    native.onOpen(guarded(() => this.onOpen?.()));
    native.onMessage(
      guarded((message: ChannelMessage | ArrayBuffer) =>
        this.onMessage?.(message instanceof ArrayBuffer ? Buffer.from(message) : message),
      ),
    );
    native.onClosed(
      guarded(() => {
        const told = this.onClosed;
        this.#end();
        told?.();
      }),
    );
  }

  /** Sends a message. False when it could not be, for one because it is larger than the peer takes. */
  send(message: ChannelMessage): boolean {
    if (!this.isOpen) return false;
    try {
      // The result says whether something was queued, not whether it was taken.
      if (typeof message === 'string') this.#native?.sendMessage(message);
      else this.#native?.sendMessageBinary(message);
      return true;
    } catch {
      return false;
    }
  }

  /** Ends it for both sides; no callback after this. Idempotent. */
  close(): void {
    if (this.#ended) return;
    const native = this.#native;
    this.#end();
    try {
      native?.close();
    } catch {
      // It has ended already.
    }
  }

  #ask<T>(question: (native: DataChannel) => T): T | undefined {
    try {
      return this.#native ? question(this.#native) : undefined;
    } catch {
      return undefined;
    }
  }

  #end(): void {
    this.#ended = true;
    this.#native = null;
    this.onOpen = this.onMessage = this.onClosed = null;
    this.#owner?.delete(this);
  }
}
