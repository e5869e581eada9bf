import type { TrackInfo } from '@orama/protocol';
import type { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import type { Codec } from '../rtc/codecs.ts';
import type { UplinkMedia } from '../rtc/sections.ts';
import type { RtcTrack } from '../rtc/track.ts';
import { type KeyFrameTest, keyFrameTestOf } from '../rtp/codecs/key-frame.ts';
import { findExtension, renumberExtensions } from '../rtp/extensions.ts';
import { isRtcp, RtpView, readRtp, readUint16, unwrapRtx } from '../rtp/header.ts';
import { buildFir, buildNack, buildPli, buildReceiverReport, buildRemb, buildSdes } from '../rtp/rtcp/build.ts';
import type { SenderReport } from '../rtp/rtcp/packets.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import type { MediaCounters } from './counters.ts';
import { KeyFrameRequests } from './key-frames.ts';
import { NackTracker } from './nack-tracker.ts';
import { PacketCache } from './packet-cache.ts';
import { Reception } from './reception.ts';
import type { Subscription } from './subscription.ts';

/** Our SSRC as a sender of RTCP towards publishers. */
const FEEDBACK_SSRC = 1;
const FEEDBACK_SDES = buildSdes(FEEDBACK_SSRC, 'orama-sfu');
const VIDEO_CACHE_PACKETS = 512;
const AUDIO_CACHE_PACKETS = 64;
const RECEIVER_REPORT_MS = 1_000;
/** What a publisher without transport-wide feedback is told it may send. */
const REMB_BPS = 2_500_000;
const REMB_INTERVAL_MS = 500;
/** A publisher that sent nothing for so long is silent (camera off), not slow. */
const FLOWING_MS = 2_000;

export interface PublicationOptions {
  trackId: string;
  peerId: string;
  mid: string;
  source: string | undefined;
  muted: boolean;
  media: UplinkMedia;
  /** Shared by all publications of a peer: transport-wide sequence numbers count per connection. */
  arrivals: ArrivalRecorder;
  counters: MediaCounters;
  /** The publisher began to send another of its negotiated codecs. */
  onCodecChange: (publication: Publication) => void;
}

/** A track that a peer sends to us: received once, cleaned of what concerns only that hop, handed to every subscription. */
export class Publication {
  readonly trackId: string;
  readonly peerId: string;
  readonly mid: string;
  readonly kind: 'audio' | 'video';
  source: string | undefined;
  muted: boolean;
  /** Muted by the namespace: nothing is forwarded. */
  forcedMute = false;
  readonly #arrivals: ArrivalRecorder;
  readonly #counters: MediaCounters;
  readonly #onCodecChange: (publication: Publication) => void;
  readonly #subscriptions: Subscription[] = [];
  readonly #view = new RtpView();
  readonly #cache: PacketCache;
  readonly #nacks = new NackTracker();
  readonly #keyFrames: KeyFrameRequests;
  readonly #codecs: (Codec | undefined)[] = new Array<Codec | undefined>(128).fill(undefined);
  /** By payload type: the payload type that an RTX packet repeats, or -1. */
  readonly #repeats = new Int16Array(128);
  #media: UplinkMedia;
  #codec: Codec;
  #startsKeyFrame: KeyFrameTest;
  #reception: Reception;
  #track: RtcTrack | null = null;
  #ssrc: number;
  #senderReport: SenderReport | null = null;
  #firSequence = 0;
  #lastReportMs = 0;
  #lastRembMs = 0;
  #lastPacketMs = Number.NEGATIVE_INFINITY;
  #lastReportHeardMs = Number.NEGATIVE_INFINITY;

  constructor(options: PublicationOptions) {
    this.trackId = options.trackId;
    this.peerId = options.peerId;
    this.mid = options.mid;
    this.kind = options.media.kind;
    this.source = options.source;
    this.muted = options.muted;
    this.#arrivals = options.arrivals;
    this.#counters = options.counters;
    this.#onCodecChange = options.onCodecChange;
    this.#media = options.media;
    this.#codec = options.media.codecs[0] as Codec;
    this.#startsKeyFrame = keyFrameTestOf(this.#codec.name);
    this.#reception = new Reception(this.#codec.clockRate);
    this.#ssrc = options.media.ssrc ?? 0;
    this.#cache = new PacketCache(this.kind === 'video' ? VIDEO_CACHE_PACKETS : AUDIO_CACHE_PACKETS);
    this.#keyFrames = new KeyFrameRequests(() => this.#askForKeyFrame());
    this.#learnPayloadTypes();
  }

  /** The codec the publisher sends now. */
  get codec(): Codec {
    return this.#codec;
  }

  /** The publisher's last sender report, for subscribers that come later. */
  get senderReport(): SenderReport | null {
    return this.#senderReport;
  }

  /** When the publisher last sent a packet of it, media or control; minus infinity before the first. */
  get heardMs(): number {
    return Math.max(this.#lastPacketMs, this.#lastReportHeardMs);
  }

  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions;
  }

  /** How others see the track. */
  get info(): TrackInfo {
    return {
      trackId: this.trackId,
      kind: this.kind,
      muted: this.muted || this.forcedMute,
      ...(this.source === undefined ? {} : { source: this.source }),
    };
  }

  /** Takes over what a later offer of the publisher says about the m-line. */
  renegotiate(media: UplinkMedia): void {
    this.#media = media;
    if (media.ssrc !== undefined && media.ssrc !== this.#ssrc) this.#switchSource(media.ssrc);
    this.#learnPayloadTypes();
  }

  /** Begins to receive from `track`. */
  attach(track: RtcTrack): void {
    if (this.#track === track) return;
    this.#track = track;
    track.onPacket = (packet) => this.receive(packet);
  }

  addSubscription(subscription: Subscription): void {
    this.#subscriptions.push(subscription);
  }

  removeSubscription(subscription: Subscription): void {
    const index = this.#subscriptions.indexOf(subscription);
    if (index >= 0) this.#subscriptions.splice(index, 1);
  }

  /** A packet as it was sent, for a retransmission; null when it is no longer, or not yet, here. */
  cached(sequence: number): ReturnType<PacketCache['get']> {
    return this.#cache.get(sequence);
  }

  /** A subscriber cannot decode without a key frame. */
  requestKeyFrame(nowMs: number): void {
    if (this.kind === 'video') this.#keyFrames.request(nowMs);
  }

  /** The hot path: one datagram of this track, RTP or RTCP. */
  receive(datagram: Buffer): void {
    if (isRtcp(datagram)) {
      this.#receiveRtcp(datagram);
      return;
    }
    const view = this.#view;
    let packet = datagram;
    this.#counters.packetsIn++;
    this.#counters.bytesIn += packet.length;
    if (!readRtp(packet, view)) {
      this.#counters.malformed++;
      return;
    }
    const nowMs = performance.now();
    this.#lastPacketMs = nowMs;
    if (this.#media.transportSequenceId > 0) {
      const at = findExtension(packet, view, this.#media.transportSequenceId);
      if (at > 0 && at + 2 <= view.extensionEnd) this.#arrivals.record(readUint16(packet, at), nowMs * 1000);
    }
    const repeated = this.#repeats[view.payloadType] as number;
    if (repeated >= 0) {
      const original = unwrapRtx(packet, view, repeated, this.#ssrc);
      if (!original || !readRtp(original, view)) return;
      packet = original;
    } else {
      if (view.ssrc !== this.#ssrc) this.#switchSource(view.ssrc);
      this.#reception.record(view.sequence, view.timestamp, nowMs);
    }
    const codec = this.#codecs[view.payloadType];
    if (!codec) return;
    if (this.#cache.has(view.sequence)) return;
    if (codec !== this.#codec) this.#switchCodec(codec);
    if (this.#media.nack && this.#nacks.record(view.sequence, nowMs)) this.requestKeyFrame(nowMs);
    renumberExtensions(packet, view, this.#media.extensionIds);
    this.#cache.put(view.sequence, view.timestamp, packet);
    const startsKeyFrame = this.#startsKeyFrame(packet, view.payloadStart, view.payloadEnd);
    if (startsKeyFrame) this.#keyFrames.onKeyFrame();
    if (this.forcedMute) return;
    const subscriptions = this.#subscriptions;
    for (let i = 0; i < subscriptions.length; i++)
      (subscriptions[i] as Subscription).forward(packet, view, codec, startsKeyFrame, nowMs);
    if (this.#nacks.hasMissing) this.#sendNacks(nowMs);
  }

  /** Reports, repeated requests and REMB. Called every 50 ms or so. */
  tick(nowMs: number): void {
    this.#keyFrames.tick(nowMs, nowMs - this.#lastPacketMs < FLOWING_MS);
    if (!this.#track || this.#lastPacketMs < 0) return;
    if (this.#nacks.hasMissing) this.#sendNacks(nowMs);
    if (nowMs - this.#lastReportMs >= RECEIVER_REPORT_MS) {
      this.#lastReportMs = nowMs;
      const block = this.#reception.report(this.#ssrc, nowMs);
      if (block) this.#track.send(Buffer.concat([buildReceiverReport(FEEDBACK_SSRC, [block]), FEEDBACK_SDES]));
    }
    if (this.#media.remb && nowMs - this.#lastRembMs >= REMB_INTERVAL_MS) {
      this.#lastRembMs = nowMs;
      this.#track.send(buildRemb(FEEDBACK_SSRC, REMB_BPS, [this.#ssrc]));
    }
  }

  /** Sends transport-wide feedback of the whole connection; any of its tracks will do. False when this one cannot. */
  sendTransportFeedback(): boolean {
    if (!this.#track || this.#media.transportSequenceId === 0 || this.#lastPacketMs < 0) return false;
    for (let packet = this.#take(); packet; packet = this.#take()) this.#track.send(packet);
    return true;
  }

  /** Stops receiving. The subscriptions are ended by whoever holds them. */
  close(): void {
    if (this.#track) this.#track.onPacket = null;
    this.#track = null;
    this.#cache.clear();
  }

  #take(): Buffer | null {
    return this.#arrivals.take(FEEDBACK_SSRC, this.#ssrc);
  }

  #learnPayloadTypes(): void {
    this.#codecs.fill(undefined);
    this.#repeats.fill(-1);
    for (const codec of this.#media.codecs) {
      this.#codecs[codec.payloadType] = codec.key === this.#codec.key ? this.#codec : codec;
      if (codec.rtxPayloadType !== undefined) this.#repeats[codec.rtxPayloadType] = codec.payloadType;
    }
  }

  #switchSource(ssrc: number): void {
    const first = this.#lastPacketMs < 0 || this.#ssrc === 0;
    this.#ssrc = ssrc;
    if (first) return;
    this.#reception = new Reception(this.#codec.clockRate);
    this.#nacks.reset();
    this.#cache.clear();
    this.#senderReport = null;
    for (const subscription of this.#subscriptions) subscription.resynchronise();
  }

  #switchCodec(codec: Codec): void {
    this.#codec = codec;
    this.#startsKeyFrame = keyFrameTestOf(codec.name);
    this.#onCodecChange(this);
  }

  #receiveRtcp(datagram: Buffer): void {
    const nowMs = performance.now();
    this.#lastReportHeardMs = nowMs;
    for (const packet of parseRtcp(datagram)) {
      if (packet.type !== 'sr' || packet.ssrc !== this.#ssrc) continue;
      this.#senderReport = packet;
      this.#reception.recordSenderReport(packet, nowMs);
      for (const subscription of this.#subscriptions) subscription.sendSenderReport(packet, nowMs);
    }
  }

  #sendNacks(nowMs: number): void {
    const due = this.#nacks.due(nowMs);
    if (due.length === 0 || !this.#track) return;
    this.#counters.nacksOut += due.length;
    this.#track.send(buildNack(FEEDBACK_SSRC, this.#ssrc, due));
  }

  #askForKeyFrame(): boolean {
    if (!this.#track?.isOpen || this.#ssrc === 0) return false;
    this.#counters.keyFrameRequestsOut++;
    return this.#track.send(
      this.#media.pli ? buildPli(FEEDBACK_SSRC, this.#ssrc) : buildFir(FEEDBACK_SSRC, this.#ssrc, this.#firSequence++),
    );
  }
}
