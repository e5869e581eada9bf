import type { ChannelMessage, RtcChannel } from '../rtc/channel.ts';
import type { ChannelCounters } from './channel-counters.ts';

/** What waits for one receiver over all of its legs: never more than so many bytes. */
export class ReceiverBuffer {
  readonly legs = new Set<Leg>();
  /** No less than what really waits; counted anew when it says that there is no room. */
  #atMost = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes room for `bytes` more; false when there is none. */
  reserve(bytes: number): boolean {
    if (this.#atMost + bytes > this.#maxBytes) {
      this.#atMost = 0;
      for (const leg of this.legs) this.#atMost += leg.waitingBytes;
      if (this.#atMost + bytes > this.#maxBytes) return false;
    }
    this.#atMost += bytes;
    return true;
  }
}

/** A channel by which messages of others reach a peer. What is sent before it is open waits. */
export class Leg {
  readonly #channel: RtcChannel;
  readonly #buffer: ReceiverBuffer;
  readonly #counters: ChannelCounters;
  readonly #onEnd: () => void;
  #early: ChannelMessage[] = [];
  #earlyBytes = 0;
  #ended = false;

  /** @param onEnd called once when it ends, whoever ended it */
  constructor(channel: RtcChannel, buffer: ReceiverBuffer, counters: ChannelCounters, onEnd: () => void) {
    this.#channel = channel;
    this.#buffer = buffer;
    this.#counters = counters;
    this.#onEnd = onEnd;
    buffer.legs.add(this);
    counters.legs++;
    channel.onOpen = () => this.#flush();
    channel.onClosed = () => this.close();
  }

  get waitingBytes(): number {
    return this.#earlyBytes + this.#channel.bufferedAmount;
  }

  /** Sends or keeps a message; false when the receiver is too far behind for it. */
  send(message: ChannelMessage, bytes: number): boolean {
    if (!this.#buffer.reserve(bytes)) return false;
    this.#counters.messagesOut++;
    this.#counters.bytesOut += bytes;
    if (this.#channel.isOpen) return this.#channel.send(message);
    this.#early.push(message);
    this.#earlyBytes += bytes;
    return true;
  }

  /** Ends it for the receiver. Idempotent. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#buffer.legs.delete(this);
    this.#counters.legs--;
    this.#early = [];
    this.#earlyBytes = 0;
    this.#channel.close();
    this.#onEnd();
  }

  #flush(): void {
    const early = this.#early;
    this.#early = [];
    this.#earlyBytes = 0;
    for (const message of early) this.#channel.send(message);
  }
}
