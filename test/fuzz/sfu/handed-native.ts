import type { NativeTrack, RtcChannel } from '@orama/sfu/rtc';

/** libdatachannel's own classes, which are for the SFU alone to import. */
type Track = ConstructorParameters<typeof NativeTrack>[0];
type DataChannel = Parameters<RtcChannel['bind']>[0];

const nothing = (): void => undefined;

/** In the place of libdatachannel's track: open at once. */
export class HandedTrack {
  readonly #mid: string;
  readonly #kind: 'audio' | 'video';
  readonly #onSent: (packet: Buffer) => void;
  #onMessage: (packet: Buffer) => void = nothing;

  constructor(mid: string, kind: 'audio' | 'video', onSent: (packet: Buffer) => void) {
    this.#mid = mid;
    this.#kind = kind;
    this.#onSent = onSent;
  }

  deliver(packet: Buffer): void {
    this.#onMessage(packet);
  }

  asNative(): Track {
    const native = {
      mid: () => this.#mid,
      type: () => this.#kind,
      isOpen: () => true,
      onOpen: nothing,
      onClosed: nothing,
      onMessage: (handler: (packet: Buffer) => void) => {
        this.#onMessage = handler;
      },
      sendMessageBinary: (packet: Buffer) => {
        this.#onSent(packet);
        return true;
      },
      close: nothing,
    };
    return native as unknown as Track;
  }
}

/** In the place of libdatachannel's data channel: open at once, and read as quickly as `drain` is called. */
export class HandedChannel {
  readonly label: string;
  readonly protocol: string;
  #waitingBytes = 0;
  #open = true;
  #onMessage: (message: string | Buffer) => void = nothing;
  #onClosed: () => void = nothing;

  constructor(label: string, protocol: string) {
    this.label = label;
    this.protocol = protocol;
  }

  isOpen = (): boolean => this.#open;

  /** The peer sends a message. */
  deliver(message: string | Buffer): void {
    if (this.#open) this.#onMessage(message);
  }

  /** The peer reads everything that waits for it. */
  drain(): void {
    this.#waitingBytes = 0;
  }

  /** The peer closes it. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#onClosed();
  }

  asNative(): DataChannel {
    const take = (message: string | Buffer) => {
      this.#waitingBytes += message.length;
      return true;
    };
    const native = {
      isOpen: this.isOpen,
      bufferedAmount: () => this.#waitingBytes,
      onOpen: nothing,
      onMessage: (handler: (message: string | Buffer) => void) => {
        this.#onMessage = handler;
      },
      onClosed: (handler: () => void) => {
        this.#onClosed = handler;
      },
      sendMessage: take,
      sendMessageBinary: take,
      close: () => {
        this.#open = false;
      },
    };
    return native as unknown as DataChannel;
  }
}
