import type { ClientFrameOf, Delivery } from '@orama/protocol';
import type { Wish } from '../congestion/allocate.ts';
import type { Codec } from '../rtc/codecs.ts';
import type { DownlinkPayloadTypes } from '../rtc/downlink-spec.ts';
import type { RtcTrack } from '../rtc/track.ts';
import { isRtcp, type RtpView } from '../rtp/header.ts';
import type { ReportBlock } from '../rtp/rtcp/packets.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import type { MediaCounters } from './counters.ts';
import type { Downlink } from './downlink.ts';
import type { Encoding } from './encoding.ts';
import { EVERY_LAYER, Forwarder } from './forwarder.ts';
import { LayerFollower, type LayerTarget } from './layer-follower.ts';
import type { PacketSink } from './packet-sink.ts';
import type { Publication } from './publication.ts';
import { Retransmissions } from './retransmissions.ts';
import { SenderReports } from './sender-reports.ts';
import type { StreamEnd } from './timeline.ts';

const DEFAULT_PRIORITY = 100;
/** What a subscription begins with where a downlink allocates: quick to come, and it fits nearly always. */
export const SMALLEST: LayerTarget = { spatial: 0, temporal: EVERY_LAYER };
/** The best there is. */
const EVERYTHING: LayerTarget = { spatial: EVERY_LAYER, temporal: EVERY_LAYER };

export interface SubscriptionOptions {
  publication: Publication;
  mid: string;
  ssrc: number;
  cname: string;
  firstSequence: number;
  /** Where another track ended on the same SSRC; null or absent for the first one. */
  after?: StreamEnd | null | undefined;
  /** Where retransmissions and probes go, if the subscriber takes RTX (RFC 4588). */
  rtx?: { ssrc: number; firstSequence: number } | undefined;
  downlink: Downlink;
  counters: MediaCounters;
  /** What the subscriber gets of the track is another than before. */
  onDelivery?: (subscription: Subscription) => void;
}

/** One peer's copy of another's track: what it wishes, what it gets, and what it says about that. */
export class Subscription implements PacketSink {
  readonly publication: Publication;
  /** Mid of the m-line that carries it. */
  readonly mid: string;
  readonly cname: string;
  readonly #forwarder: Forwarder;
  readonly #follower: LayerFollower;
  readonly #retransmissions: Retransmissions;
  readonly #reports: SenderReports;
  readonly #rtxSsrc: number;
  readonly #counters: MediaCounters;
  readonly #onDelivery: (subscription: Subscription) => void;
  /** What the subscriber asked for, for the downlink's allocation. */
  wish: Wish = {};
  /** Higher ones get bandwidth first. */
  priority = DEFAULT_PRIORITY;
  #enabled = true;
  /** Why the subscriber takes nothing; null while it does, or has not been asked yet. */
  #stopped: 'paused' | 'unsupported-codec' | null = null;
  #target: LayerTarget | null = EVERYTHING;
  #delivery: Delivery = 'flowing';
  #closed = false;
  /** Those of the track when the subscriber agreed last. */
  #extensionIds: Uint8Array | null = null;
  /** Share of packets lost that the subscriber reported last, 0 to 1. */
  #loss = 0;

  constructor(options: SubscriptionOptions) {
    const { publication, ssrc, firstSequence, after, rtx, downlink, counters } = options;
    this.publication = publication;
    this.mid = options.mid;
    this.cname = options.cname;
    this.#counters = counters;
    this.#onDelivery = options.onDelivery ?? (() => {});
    this.#forwarder = new Forwarder({
      ssrc,
      firstSequence,
      after,
      clockRate: publication.codec.clockRate,
      downlink,
      onSwitch: (nowMs) => this.#synchronise(nowMs),
    });
    this.#follower = new LayerFollower(publication, this.#forwarder);
    this.#rtxSsrc = rtx?.ssrc ?? 0;
    this.#retransmissions = new Retransmissions(this.#forwarder, downlink, counters, rtx?.firstSequence ?? 0);
    this.#reports = new SenderReports(this.#forwarder, options.cname);
  }

  get ssrc(): number {
    return this.#forwarder.ssrc;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** The first sequence number that was not sent. */
  get nextSequence(): number {
    return this.#forwarder.numbering.next;
  }

  /** The same of its RTX stream. */
  get nextRtxSequence(): number {
    return this.#retransmissions.nextRtxSequence;
  }

  /** The newest packet that was sent on the SSRC; null when there was none. */
  get end(): StreamEnd | null {
    return this.#forwarder.timeline.end;
  }

  /** Whether packets flow: negotiated, wanted, heard in the room and within the bandwidth. */
  get active(): boolean {
    return this.wanted && this.#target !== null;
  }

  /** Whether the subscriber would take packets, if there is bandwidth. */
  get wanted(): boolean {
    return this.#forwarder.outgoing !== null && this.#enabled && this.publication.heard;
  }

  /** Whether its path can be measured with padding: it takes an RTX stream. */
  get takesPadding(): boolean {
    return this.#forwarder.outgoing !== null && this.#retransmissions.rtx !== null;
  }

  /** While there is no bandwidth the smallest is kept ready. */
  get needed(): number {
    const { outgoing, current } = this.#forwarder;
    if (outgoing === null || !this.#enabled) return 0;
    return (1 << this.#follower.encodingFor(this.#target).index) | (current ? 1 << current.index : 0);
  }

  /** What the subscriber gets, or why not. */
  get delivery(): Delivery {
    return this.#delivery;
  }

  /** What it should carry; null while paused for want of bandwidth. */
  get target(): LayerTarget | null {
    return this.#target;
  }

  /** The encoding that is forwarded; null while none is. */
  get current(): Encoding | null {
    return this.#forwarder.current;
  }

  /** The encoding that will be forwarded from its next key frame on; null when nothing is waited for. */
  get awaited(): Encoding | null {
    return this.#forwarder.awaited;
  }

  /** The layers that are sent: encoding or spatial layer inside the only one, and temporal layer; null while nothing is. */
  get layer(): LayerTarget | null {
    return this.#follower.layer;
  }

  /** Sent to the subscriber in the last second or so, in bit/s. */
  get bitrateBps(): number {
    return this.#forwarder.rate.bitsPerSecond;
  }

  /** Share of packets the subscriber reported lost last, 0 to 1. */
  get loss(): number {
    return this.#loss;
  }

  /** Round-trip time to the subscriber, in milliseconds; null until it is known. */
  get rttMs(): number | null {
    return this.#reports.rttMs;
  }

  /**
   * Sets what to carry; null pauses. Another encoding begins with its next key frame, which is asked for; until then the
   * one before goes on.
   * @param isOverloaded the path cannot carry what is sent: a larger encoding than the target stops at once
   */
  setTarget(target: LayerTarget | null, isOverloaded = false): void {
    if (target?.spatial === this.#target?.spatial && target?.temporal === this.#target?.temporal) return;
    this.#target = target;
    const { current } = this.#forwarder;
    if (isOverloaded && current && current.index > this.#follower.encodingFor(target).index) this.#forwarder.pause();
    this.#apply();
  }

  /** The subscriber accepted the track: forward `codec` under its numbers from the next key frame on. */
  activate(track: RtcTrack, codec: Codec, { media: payloadType, inside, rtx, nack }: DownlinkPayloadTypes): void {
    const before = this.#forwarder.outgoing;
    this.#stopped = null;
    const rtxStream = rtx === undefined || this.#rtxSsrc === 0 ? null : { ssrc: this.#rtxSsrc, payloadType: rtx };
    const isSame = before?.track === track && before.codec === codec && before.payloadType === payloadType;
    this.#retransmissions.agree(track.kind, rtxStream, nack, isSame && track.extensionIds === this.#extensionIds);
    this.#extensionIds = track.extensionIds;
    if (isSame) return;
    this.#forwarder.direct({ track, codec, payloadType, insidePayloadType: inside });
    this.#forwarder.pause();
    track.onPacket = (packet) => this.#receive(packet);
    this.#apply();
  }

  /** The subscriber takes nothing for now; `activate` goes on. */
  deactivate(why: 'paused' | 'unsupported-codec'): void {
    this.#stopped = why;
    this.#disconnect();
    this.#tellDelivery();
  }

  /** The end: nothing is sent or told any more. */
  close(): void {
    this.#closed = true;
    this.#disconnect();
  }

  /** Takes over what a `subscribe` frame says; it replaces the one before. */
  setWish({ maxLayer, maxWidth, maxHeight, maxFps, priority, enabled }: ClientFrameOf<'subscribe'>): void {
    this.wish = { maxLayer, maxWidth, maxHeight, maxFps };
    this.priority = priority ?? DEFAULT_PRIORITY;
    this.setEnabled(enabled);
  }

  /** The room forwards the track from now on, or no longer: `Publication.heard` says which. */
  hearingChanged(): void {
    this.#apply();
  }

  /** Pauses or resumes without negotiating. */
  setEnabled(enabled: boolean): void {
    if (this.#enabled === enabled) return;
    this.#enabled = enabled;
    this.#apply();
  }

  resynchronise(encoding: Encoding): void {
    this.#forwarder.resynchronise(encoding);
    if (this.#forwarder.awaited === encoding && this.active)
      this.publication.requestKeyFrame(encoding, performance.now());
  }

  /** The hot path. */
  forward(packet: Buffer, view: RtpView, encoding: Encoding, nowMs: number): void {
    this.#forwarder.forward(packet, view, encoding, nowMs);
  }

  onSenderReport(encoding: Encoding, nowMs: number): void {
    if (encoding === this.#forwarder.current) this.#synchronise(nowMs);
  }

  /** Sends about so many bytes of padding. False when that was not possible. */
  pad(bytes: number, nowMs: number): boolean {
    return this.#retransmissions.pad(bytes, nowMs);
  }

  /** Reports, and another encoding when the one it should carry has fallen silent. Called every 50 ms or so. */
  tick(nowMs: number): void {
    this.#forwarder.rate.sample(nowMs);
    this.#retransmissions.tick(nowMs);
    this.#reports.tick(nowMs);
    if (this.#target && this.active && this.publication.kind === 'video') this.#follower.follow(this.#target, nowMs);
  }

  // What is wanted, as the forwarder is told it.
  #apply(): void {
    const nowMs = performance.now();
    if (this.#target && this.active) this.#follower.follow(this.#target, nowMs);
    else this.#forwarder.pause();
    this.#tellDelivery();
  }

  #synchronise(nowMs: number): void {
    const { current, timeline } = this.#forwarder;
    if (current?.senderReport) timeline.synchronise(current.senderReport, current.senderReportMs);
    this.#reports.send(nowMs);
  }

  #disconnect(): void {
    const { outgoing } = this.#forwarder;
    if (outgoing) outgoing.track.onPacket = null;
    this.#forwarder.direct(null);
    this.#forwarder.pause();
  }

  #tellDelivery(): void {
    const delivery = this.#deliveryNow();
    if (delivery === this.#delivery || this.#closed) return;
    this.#delivery = delivery;
    this.#onDelivery(this);
  }

  #deliveryNow(): Delivery {
    if (this.#stopped === 'unsupported-codec') return 'unsupported-codec';
    if (this.#stopped === 'paused' || !this.#enabled) return 'disabled';
    if (!this.publication.heard) return 'not-a-speaker';
    return this.#target === null ? 'no-bandwidth' : 'flowing';
  }

  #receive(datagram: Buffer): void {
    if (!isRtcp(datagram)) return;
    const nowMs = performance.now();
    const { ssrc } = this;
    for (const packet of parseRtcp(datagram, false)) {
      if (packet.type === 'nack' && packet.mediaSsrc === ssrc) this.#answerNack(packet.sequences, nowMs);
      else if (packet.type === 'pli' && packet.mediaSsrc === ssrc) this.#keyFrameWanted(nowMs);
      else if (packet.type === 'fir' && packet.entries.some((entry) => entry.ssrc === ssrc))
        this.#keyFrameWanted(nowMs);
      else if (packet.type === 'rr' || packet.type === 'sr')
        for (const report of packet.reports) if (report.ssrc === ssrc) this.#learn(report, nowMs);
    }
  }

  #answerNack(sequences: readonly number[], nowMs: number): void {
    if (!this.publication.forcedMute) this.#retransmissions.answer(sequences, this.rttMs, nowMs);
  }

  #keyFrameWanted(nowMs: number): void {
    this.#counters.keyFrameRequestsIn++;
    const encoding = this.#forwarder.current ?? this.#forwarder.awaited;
    if (this.active && encoding) this.publication.requestKeyFrame(encoding, nowMs);
  }

  #learn(report: ReportBlock, nowMs: number): void {
    this.#loss = report.fractionLost / 256;
    this.#reports.learn(report, nowMs);
  }
}
