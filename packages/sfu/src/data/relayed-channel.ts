import { CHANNEL_MESSAGE_MAX_BYTES, type SignallingErrorCode } from '@orama/protocol';
import type { ChannelMessage, RtcChannel } from '../rtc/channel.ts';
import { type ChannelTerms, isReliable, nameOf } from './channel-terms.ts';
import type { DataPort } from './data-port.ts';
import { Leg } from './leg.ts';

/**
 * A channel that a peer opened, with a copy for each receiver. One for everybody goes one way; one for a single peer goes
 * both ways, and ends with either end.
 *
 * Nobody can be made to send less, so a receiver that falls behind loses messages of an unreliable channel, and of a
 * reliable one its copy: never a message in between.
 */
export class RelayedChannel {
  readonly terms: ChannelTerms;
  readonly #opener: DataPort;
  readonly #channel: RtcChannel;
  readonly #name: string;
  readonly #onEnd: () => void;
  readonly #legs = new Map<DataPort, Leg>();
  /** By which the opener gets what the single receiver sends. */
  readonly #back: Leg | null;
  #toldOfDrops = false;
  #toldOneWay = false;
  #ended = false;

  /** @param onEnd called once when it ends, whoever ended it */
  constructor(opener: DataPort, channel: RtcChannel, terms: ChannelTerms, onEnd: () => void) {
    this.#opener = opener;
    this.#channel = channel;
    this.#name = nameOf(channel.label);
    this.terms = terms;
    this.#onEnd = onEnd;
    opener.counters.opened++;
    channel.onMessage = (message) => this.#forward(message);
    channel.onClosed = () => this.close();
    this.#back = terms.to === undefined ? null : new Leg(channel, opener.buffer, opener.counters, () => this.close());
  }

  /** Opens a copy to `receiver`. */
  copyTo(receiver: DataPort): void {
    const channel = receiver.open(this.#opener.peerId, this.#channel.label, this.terms);
    if (!channel) {
      this.#opener.counters.refused++;
      this.#opener.tell('too_many_channels', `${this.#name} does not reach ${receiver.peerId}, which takes no more`);
      if (this.#back) this.close();
      return;
    }
    channel.onMessage = (message) => this.#answer(receiver, message);
    const leg = new Leg(channel, receiver.buffer, receiver.counters, () => {
      this.#legs.delete(receiver);
      if (this.#back) this.close();
    });
    this.#legs.set(receiver, leg);
  }

  /** Ends it for everybody. Idempotent. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#opener.counters.opened--;
    for (const leg of [...this.#legs.values()]) leg.close();
    this.#back?.close();
    this.#channel.close();
    this.#onEnd();
  }

  #forward(message: ChannelMessage): void {
    const bytes = this.#admit(this.#opener, message);
    if (bytes < 0) return;
    for (const [receiver, leg] of this.#legs) {
      if (!leg.send(message, bytes)) this.#behind(receiver, this.#opener, leg);
    }
  }

  // What the receiver of a copy sends on it.
  #answer(from: DataPort, message: ChannelMessage): void {
    if (!this.#back || !from.maySend) {
      this.#opener.counters.dropped++;
      if (this.#toldOneWay) return;
      this.#toldOneWay = true;
      const why = from.maySend ? 'it goes one way, from who opened it' : 'this credential may not send data';
      from.tell('forbidden', `nothing is sent on ${this.#name}: ${why}`);
      return;
    }
    const bytes = this.#admit(from, message);
    if (bytes >= 0 && !this.#back.send(message, bytes)) this.#behind(this.#opener, from, this.#back);
  }

  /** Counts a message of `sender`; its bytes, or -1 when it goes no further. */
  #admit(sender: DataPort, message: ChannelMessage): number {
    const { counters } = sender;
    const bytes = typeof message === 'string' ? Buffer.byteLength(message) : message.length;
    counters.messagesIn++;
    counters.bytesIn += bytes;
    if (bytes > CHANNEL_MESSAGE_MAX_BYTES) {
      this.#end(sender, 'frame_too_large', `a message takes at most ${CHANNEL_MESSAGE_MAX_BYTES} bytes`);
      return -1;
    }
    if (sender.spend(bytes)) return bytes;
    if (isReliable(this.terms)) this.#end(sender, 'channel_rate_limited', 'too much was sent on it');
    else this.#dropped(sender, 'channel_rate_limited', 'too much was sent on it');
    return -1;
  }

  #behind(receiver: DataPort, sender: DataPort, leg: Leg): void {
    if (!isReliable(this.terms)) {
      this.#dropped(sender, 'channel_overflow', `${receiver.peerId} reads too slowly`);
      return;
    }
    sender.counters.refused++;
    leg.close();
    receiver.tell('channel_overflow', `${this.#name} from ${sender.peerId} was closed: it is read too slowly`);
    sender.tell('channel_overflow', `${this.#name} was closed to ${receiver.peerId}, which reads it too slowly`);
  }

  #dropped(sender: DataPort, code: SignallingErrorCode, why: string): void {
    sender.counters.dropped++;
    if (this.#toldOfDrops) return;
    this.#toldOfDrops = true;
    sender.tell(code, `messages on ${this.#name} are being dropped: ${why}`);
  }

  #end(sender: DataPort, code: SignallingErrorCode, why: string): void {
    sender.counters.refused++;
    this.close();
    sender.tell(code, `${this.#name} was closed: ${why}`);
  }
}
