import { type Clock, TokenBucket } from '@orama/core';
import {
  CHANNEL_BUFFER_MAX_BYTES,
  CHANNEL_BYTE_RATE,
  CHANNEL_LABEL_MAX_BYTES,
  CHANNEL_MESSAGE_RATE,
  CHANNEL_OPEN_RATE,
  LINK_BUFFER_MAX_BYTES,
  MAX_CHANNELS_OVER_LINK,
  MAX_CHANNELS_PER_PEER,
  MAX_CHANNELS_TO_PEER,
  type SignallingErrorCode,
} from '@orama/protocol';
import type { ChannelInit, RtcChannel } from '../rtc/channel.ts';
import type { ChannelCounters } from './channel-counters.ts';
import { type ChannelTerms, nameOf, readChannelTerms, writeChannelProtocol } from './channel-terms.ts';
import { ReceiverBuffer } from './leg.ts';
import { RelayedChannel } from './relayed-channel.ts';

export interface DataPortOptions {
  peerId: string;
  /** Whether channels can be opened to the peer. */
  receives: boolean;
  /** Whether the peer may send over data channels. */
  maySend: boolean;
  clock: Clock;
  counters: ChannelCounters;
  /** Opens a channel to the peer. */
  open: (label: string, init: ChannelInit) => RtcChannel;
  /** The others in the room. */
  others: () => Iterable<DataPort>;
  /** Tells the peer what was refused. */
  tell: (code: SignallingErrorCode, message: string) => void;
  /** It is a link to another SFU, or a peer behind one: that SFU has applied rates and numbers. */
  isRelayed?: boolean;
  /** Whether what is for a peer is for this port; by default whether it is that peer's. */
  reaches?: (peerId: string) => boolean;
}

/** One peer's data channels: those it opened, which the room's others get copies of, and its copies of theirs. */
export class DataPort {
  readonly peerId: string;
  readonly receives: boolean;
  readonly maySend: boolean;
  readonly buffer: ReceiverBuffer;
  readonly #options: DataPortOptions;
  readonly #opened = new Set<RelayedChannel>();
  readonly #openRate: TokenBucket;
  readonly #messageRate: TokenBucket;
  readonly #byteRate: TokenBucket;
  #closed = false;

  constructor(options: DataPortOptions) {
    this.peerId = options.peerId;
    this.receives = options.receives;
    this.maySend = options.maySend;
    this.buffer = new ReceiverBuffer(options.isRelayed ? LINK_BUFFER_MAX_BYTES : CHANNEL_BUFFER_MAX_BYTES);
    this.#options = options;
    const nowMs = options.clock.monotonic();
    this.#openRate = new TokenBucket(CHANNEL_OPEN_RATE, nowMs);
    this.#messageRate = new TokenBucket(CHANNEL_MESSAGE_RATE, nowMs);
    this.#byteRate = new TokenBucket(CHANNEL_BYTE_RATE, nowMs);
  }

  /** Whether what is for `peerId` reaches it by this port. */
  reaches(peerId: string): boolean {
    return this.#options.reaches?.(peerId) ?? peerId === this.peerId;
  }

  get counters(): ChannelCounters {
    return this.#options.counters;
  }

  /** The peer opened a channel: the others get theirs, or it is closed and the peer told why. */
  accept(channel: RtcChannel): void {
    const terms = this.#judge(channel);
    if (!terms) return;
    const relayed = new RelayedChannel(this, channel, terms, () => this.#opened.delete(relayed));
    this.#opened.add(relayed);
    for (const other of this.#options.others()) if (isFor(terms, other)) relayed.copyTo(other);
  }

  /** Somebody else came: it gets copies of the channels that are for everybody. */
  greet(newcomer: DataPort): void {
    for (const relayed of this.#opened) if (isFor(relayed.terms, newcomer)) relayed.copyTo(newcomer);
  }

  /** Opens a copy of another peer's channel to this one; null when it takes none, having enough or being about to end. */
  open(from: string, label: string, terms: ChannelTerms): RtcChannel | null {
    const most = this.#options.isRelayed ? MAX_CHANNELS_OVER_LINK : MAX_CHANNELS_TO_PEER;
    if (this.#closed || this.buffer.legs.size >= most) return null;
    const { ordered, maxRetransmits, maxPacketLifeTime } = terms;
    const protocol = writeChannelProtocol(from, terms);
    try {
      return this.#options.open(label, { protocol, ordered, maxRetransmits, maxPacketLifeTime });
    } catch {
      // Its connection has ended, which is about to be told; nothing that the opener is to blame for.
      return null;
    }
  }

  /** Counts a message that the peer sends; false when it sends too many, or too much. */
  spend(bytes: number): boolean {
    if (this.#options.isRelayed) return true;
    const nowMs = this.#options.clock.monotonic();
    return this.#messageRate.take(nowMs) && this.#byteRate.take(nowMs, bytes);
  }

  tell(code: SignallingErrorCode, message: string): void {
    this.#options.tell(code, message);
  }

  /** Ends what the peer opened and what reaches it. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const relayed of [...this.#opened]) relayed.close();
    for (const leg of [...this.buffer.legs]) leg.close();
  }

  #judge(channel: RtcChannel): ChannelTerms | null {
    const terms = readChannelTerms(channel.protocol);
    if (!this.maySend) return this.#refuse(channel, 'forbidden', 'this credential may not send data');
    const { clock, isRelayed } = this.#options;
    if (!isRelayed && !this.#openRate.take(clock.monotonic()))
      return this.#refuse(channel, 'channel_rate_limited', 'too many channels were opened lately');
    if (!isRelayed && this.#opened.size >= MAX_CHANNELS_PER_PEER)
      return this.#refuse(channel, 'too_many_channels', `a peer may have ${MAX_CHANNELS_PER_PEER} open`);
    if (Buffer.byteLength(channel.label) > CHANNEL_LABEL_MAX_BYTES)
      return this.#refuse(channel, 'frame_too_large', `a label takes at most ${CHANNEL_LABEL_MAX_BYTES} bytes`);
    if (!terms)
      return this.#refuse(channel, 'invalid_message', 'its protocol field is not such as "to=<peerId>&ordered=false"');
    if (terms.to !== undefined && ![...this.#options.others()].some((other) => isFor(terms, other)))
      return this.#refuse(channel, 'unknown_peer', 'the peer it is for is not in the room');
    return terms;
  }

  #refuse(channel: RtcChannel, code: SignallingErrorCode, why: string): null {
    this.counters.refused++;
    this.tell(code, `${nameOf(channel.label)} was closed: ${why}`);
    channel.close();
    return null;
  }
}

function isFor({ to }: ChannelTerms, port: DataPort): boolean {
  return port.receives && (to === undefined || port.reaches(to));
}
