import {
  type ChannelInit,
  NativeTrack,
  RtcChannel,
  RtcConnection,
  type RtcConnectionOptions,
  type RtcEvents,
  type SendTrackOptions,
} from '@orama/sfu/rtc';
import { HandedChannel, HandedTrack } from './handed-native.ts';

/**
 * A peer's connection whose descriptions libdatachannel makes and reads, and whose packets and messages are handed over:
 * what a DTLS transport would carry, without one. It is connected as soon as both sides have a description.
 */
export class HandedConnection extends RtcConnection {
  /** Id of the peer. */
  readonly name: string;
  /** Channels that its peer opened, and those that were opened to it. */
  readonly channels: HandedChannel[] = [];
  readonly #events: RtcEvents;
  readonly #onSent: (packet: Buffer) => void;
  readonly #owned = new Set<RtcChannel>();
  #media: HandedTrack | undefined;
  #connected = false;
  #ended = false;

  /** @param onSent takes what the server sends */
  constructor(options: RtcConnectionOptions, events: RtcEvents, onSent: (packet: Buffer) => void) {
    super(options, events);
    this.name = options.name;
    this.#events = events;
    this.#onSent = onSent;
  }

  override sendTrack(options: SendTrackOptions): NativeTrack {
    super.sendTrack(options);
    this.#media = new HandedTrack(options.mid, options.kind, this.#onSent);
    return new NativeTrack(this.#media.asNative(), this.#events.onFault);
  }

  override setRemote(type: 'offer' | 'answer', sdp: string): void {
    super.setRemote(type, sdp);
    queueMicrotask(() => this.#connect());
  }

  override get isConnecting(): boolean {
    return !this.#connected && !this.#ended;
  }

  override openChannel(channel: RtcChannel, _init: ChannelInit): void {
    const native = new HandedChannel(channel.label, channel.protocol);
    channel.bind(native.asNative(), this.#owned);
    this.#add(native);
  }

  override close(): void {
    this.#ended = true;
    for (const channel of [...this.#owned]) channel.close();
    super.close();
  }

  /** A packet comes from the peer, in a buffer of its own. */
  deliver(packet: Buffer): void {
    if (!this.#ended) this.#media?.deliver(Buffer.from(packet));
  }

  /** The peer opens a channel. */
  accept(label: string, protocol: string): void {
    if (this.#ended) return;
    const native = new HandedChannel(label, protocol);
    const channel = new RtcChannel(label, protocol, this.#events.onFault);
    channel.bind(native.asNative(), this.#owned);
    try {
      this.#events.onChannel?.(channel);
    } catch (thrown) {
      this.#events.onFault(thrown);
    }
    this.#add(native);
  }

  #add(channel: HandedChannel): void {
    for (const [index, { isOpen }] of this.channels.entries()) if (!isOpen()) this.channels.splice(index, 1);
    if (channel.isOpen()) this.channels.push(channel);
  }

  #connect(): void {
    if (this.#connected || this.#ended) return;
    this.#connected = true;
    this.#events.onState?.('connected');
  }
}
