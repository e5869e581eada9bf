import type { ClientFrameOf, TrackInfo } from '@orama/protocol';
import type { LayerOption } from '../congestion/allocate.ts';
import type { ReceiveEstimator } from '../congestion/receive-estimator.ts';
import type { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import type { Codec } from '../rtc/codecs.ts';
import type { UplinkMedia } from '../rtc/sections.ts';
import type { RtcTrack } from '../rtc/track.ts';
import { renumberExtensions } from '../rtp/extensions.ts';
import { isRtcp, RtpView, readRtp, unwrapRtx } from '../rtp/header.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import type { MediaCounters } from './counters.ts';
import { Encoding } from './encoding.ts';
import { EncodingTable } from './encoding-table.ts';
import { LayerDemand } from './layer-demand.ts';
import { layerOptionsOf } from './layer-options.ts';
import type { PacketSink } from './packet-sink.ts';
import { PayloadTypeTable } from './payload-type-table.ts';
import { UplinkFeedback } from './uplink-feedback.ts';

/** A publisher that sent nothing for so long is silent (camera off), not slow. */
const FLOWING_MS = 2_000;
/** What can be sent of it is worked out so often. */
const LAYERS_MS = 200;

export interface PublicationOptions {
  trackId: string;
  peerId: string;
  mid: string;
  source: string | undefined;
  muted: boolean;
  media: UplinkMedia;
  /** Shared by all publications of a peer: transport-wide sequence numbers count per connection. */
  arrivals: ArrivalRecorder;
  /** Likewise, for publishers without those numbers. */
  estimator: ReceiveEstimator;
  counters: MediaCounters;
  /** The publisher began to send another of its negotiated codecs. */
  onCodecChange: (publication: Publication) => void;
  /** These simulcast layers are watched: the publisher should send them and no others. */
  onDemand: (publication: Publication, rids: string[]) => void;
  /** It comes by way of another SFU, which sends a video only when told to: `onDemand` names a single stream ''. */
  relayed?: boolean;
}

/** How `onDemand` names the stream of a relayed track that has only one. */
const ONLY_STREAM = [''];

/** A track that a peer sends to us: received once, cleaned of what concerns only that hop, handed to every sink. */
export class Publication {
  readonly trackId: string;
  readonly peerId: string;
  readonly mid: string;
  readonly kind: 'audio' | 'video';
  source: string | undefined;
  muted: boolean;
  /** False while the room forwards the audio of louder ones instead. */
  heard = true;
  readonly #arrivals: ArrivalRecorder;
  readonly #estimator: ReceiveEstimator;
  readonly #counters: MediaCounters;
  readonly #onCodecChange: (publication: Publication) => void;
  readonly #sinks: PacketSink[] = [];
  readonly #view = new RtpView();
  readonly #encodings: EncodingTable;
  readonly #payloadTypes = new PayloadTypeTable();
  readonly #feedback: UplinkFeedback;
  readonly #demand: LayerDemand;
  readonly #isRelayed: boolean;
  #media: UplinkMedia;
  #codec: Codec;
  #track: RtcTrack | null = null;
  #forcedMute = false;
  #layers: readonly LayerOption[] = [];
  #layersMs = Number.NEGATIVE_INFINITY;
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
    this.#estimator = options.estimator;
    this.#counters = options.counters;
    this.#onCodecChange = options.onCodecChange;
    this.#media = options.media;
    const codec = options.media.codecs[0] as Codec;
    this.#codec = codec;
    this.#encodings = new EncodingTable(
      options.media.encodings.map(
        (encoding) => new Encoding(encoding, codec, (asked) => this.#feedback.askForKeyFrame(asked)),
      ),
    );
    this.#feedback = new UplinkFeedback(options.media, this.#encodings.list, options.estimator, options.counters);
    this.#isRelayed = options.relayed ?? false;
    this.#demand = new LayerDemand((rids) => options.onDemand(this, rids), this.#isRelayed);
    this.#learn();
  }

  /** The codec the publisher sends now. */
  get codec(): Codec {
    return this.#codec;
  }

  /** What the publisher may send, the codec of now first. */
  get codecs(): readonly Codec[] {
    return [this.#codec, ...this.#media.codecs.filter(({ key }) => key !== this.#codec.key)];
  }

  /** Its RTP streams from the smallest picture up; a single one without simulcast. */
  get encodings(): readonly Encoding[] {
    return this.#encodings.list;
  }

  /** What can be sent of it, from the least to the best; empty until something came. Worked out now and then. */
  layers(nowMs: number): readonly LayerOption[] {
    if (nowMs - this.#layersMs >= LAYERS_MS || this.#layers.length === 0) {
      this.#layers = layerOptionsOf(this.encodings);
      this.#layersMs = nowMs;
    }
    return this.#layers;
  }

  /** Whether anything of it came of late. */
  isFlowing(nowMs: number): boolean {
    return nowMs - this.#lastPacketMs < FLOWING_MS;
  }

  /** See EncodingTable. */
  substitute(silent: Encoding, nowMs: number): Encoding | null {
    return this.#encodings.substitute(silent, nowMs);
  }

  /** When the publisher last sent a packet of it, media or control; minus infinity before the first. */
  get heardMs(): number {
    return Math.max(this.#lastPacketMs, this.#lastReportHeardMs);
  }

  /** Muted by the namespace: nothing is forwarded. */
  get forcedMute(): boolean {
    return this.#forcedMute;
  }

  /** How others see the track. */
  get info(): TrackInfo {
    const { layers } = this.#encodings;
    return {
      trackId: this.trackId,
      kind: this.kind,
      muted: this.muted || this.#forcedMute,
      codec: this.#codec.name,
      ...(this.source === undefined ? {} : { source: this.source }),
      ...(this.#isSimulcast ? { layers } : {}),
    };
  }

  /** Takes over what a later offer of the publisher says about the m-line. */
  renegotiate(media: UplinkMedia): void {
    this.#media = this.#feedback.media = media;
    for (const { rid, ssrc, rtxSsrc } of media.encodings) {
      const encoding = this.#encodings.named(rid);
      if (!encoding) continue;
      if (rtxSsrc !== undefined) encoding.rtxSsrc = rtxSsrc;
      if (ssrc !== undefined && ssrc !== encoding.ssrc) this.#switchSource(encoding, ssrc);
    }
    this.#learn();
  }

  /** Takes over what the publisher tells about its simulcast layers, from the smallest up; unknown rids are left out. */
  describeLayers(layers: ClientFrameOf<'track-layers'>['layers']): void {
    for (const { rid, ssrc, rtxSsrc, width, height, maxBitrate } of layers) {
      const encoding = this.#encodings.named(rid);
      if (!encoding) continue;
      if (rtxSsrc !== undefined) encoding.rtxSsrc = rtxSsrc;
      if (ssrc !== undefined && ssrc !== encoding.ssrc) this.#switchSource(encoding, ssrc);
      if (maxBitrate !== undefined) encoding.maxBitrateBps = maxBitrate;
      if (width !== undefined && height !== undefined) this.#encodings.resize(encoding, width, height);
    }
    this.#encodings.order(layers.map(({ rid }) => rid));
  }

  /** The publisher sends the codec of that payload type now, whether or not any of it came here. */
  expectCodec(payloadType: number): void {
    const codec = this.#payloadTypes.codec(payloadType);
    if (!codec || codec === this.#codec) return;
    this.#codec = codec;
    this.#onCodecChange(this);
  }

  /** Begins to receive from `track`. */
  attach(track: RtcTrack): void {
    if (this.#track === track) return;
    this.#track = this.#feedback.track = track;
    track.onPacket = (packet) => this.receive(packet);
  }

  addSink(sink: PacketSink): void {
    this.#sinks.push(sink);
  }

  removeSink(sink: PacketSink): void {
    const index = this.#sinks.indexOf(sink);
    if (index >= 0) this.#sinks.splice(index, 1);
  }

  /** Mutes it against the publisher's will, or lifts that: afterwards everything goes on from a key frame. */
  setForcedMute(muted: boolean): void {
    if (this.#forcedMute === muted) return;
    this.#forcedMute = muted;
    if (!muted) for (const encoding of this.encodings) this.#resynchronise(encoding);
  }

  /** Somebody cannot decode `encoding` without a key frame. */
  requestKeyFrame(encoding: Encoding, nowMs: number): void {
    if (this.kind === 'video') encoding.keyFrames.request(nowMs);
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
    const repeated = this.#payloadTypes.repeated(view.payloadType);
    const encoding = this.#encodings.find(view.ssrc) ?? this.#encodingOfStranger(packet, view, repeated >= 0);
    renumberExtensions(packet, view, this.#media.extensionIds);
    if (this.#media.transportFeedback && view.transportSequenceAt > 0)
      this.#arrivals.record(view.transportSequence, nowMs * 1000);
    if (this.#media.remb) this.#estimator.record(packet.length, sendTimeOf(packet, view), nowMs);
    if (encoding === null) return;
    if (repeated >= 0) {
      const original = unwrapRtx(packet, view, repeated, encoding.ssrc);
      if (!original) return;
      packet = original;
    } else {
      encoding.reception.record(view.sequence, view.timestamp, nowMs);
    }
    const codec = this.#payloadTypes.codec(view.payloadType);
    if (!codec) return;
    if (!encoding.cache.isNew(view.sequence)) return;
    if (codec !== encoding.codec) this.#switchCodec(encoding, codec);
    encoding.lastPacketMs = nowMs;
    // What is sent again belongs to pictures of before.
    if (repeated < 0) encoding.missedPictures = 0;
    encoding.rate.bytes += packet.length;
    if (this.#media.nack && encoding.nacks.record(view.sequence, nowMs, repeated >= 0))
      this.requestKeyFrame(encoding, nowMs);
    encoding.cache.put(view.sequence, packet, nowMs);
    encoding.payloads.read(packet, view);
    encoding.layers.count(view.payload, packet.length);
    if (view.marker && encoding.index === 0) this.#encodings.countPicture();
    if (view.payload.startsKeyFrame) {
      encoding.keyFrames.onKeyFrame(nowMs);
      this.#encodings.learnSizes(encoding, view.payload);
    }
    if (this.#forcedMute) return;
    const sinks = this.#sinks;
    for (let i = 0; i < sinks.length; i++) (sinks[i] as PacketSink).forward(packet, view, encoding, nowMs);
    if (encoding.nacks.hasMissing) this.#mend(encoding, nowMs);
  }

  /** Reports, repeated requests and REMB. Called every 50 ms or so. */
  tick(nowMs: number): void {
    for (const encoding of this.encodings) {
      encoding.rate.sample(nowMs);
      encoding.layers.sample(nowMs);
      encoding.cache.trim(nowMs);
      encoding.keyFrames.tick(nowMs, nowMs - encoding.lastPacketMs < FLOWING_MS);
      if (encoding.nacks.hasMissing) this.#mend(encoding, nowMs);
    }
    if (this.#isSimulcast) this.#demand.update(this.#encodings.rids, this.#needed, nowMs);
    else if (this.#isRelayed && this.kind === 'video') this.#demand.update(ONLY_STREAM, this.#needed, nowMs);
    if (this.#lastPacketMs > 0) this.#feedback.tick(nowMs);
  }

  /** Tells the publisher once more which layers are watched. */
  repeatDemand(): void {
    this.#demand.repeat();
  }

  /** Sends transport-wide feedback of the whole connection; any of its tracks will do. False when this one cannot. */
  sendTransportFeedback(): boolean {
    return this.#lastPacketMs > 0 && this.#feedback.sendTransportFeedback(this.#arrivals);
  }

  /** Stops receiving. The sinks are ended by whoever holds them. */
  close(): void {
    if (this.#track) this.#track.onPacket = null;
    this.#track = this.#feedback.track = null;
    for (const encoding of this.encodings) encoding.cache.clear();
  }

  get #isSimulcast(): boolean {
    return this.encodings.length > 1;
  }

  get #needed(): number {
    let needed = 0;
    for (const sink of this.#sinks) needed |= sink.needed;
    return needed;
  }

  #learn(): void {
    this.#payloadTypes.learn(this.#media.codecs, this.#codec);
    this.#encodings.learnExtensions(this.#media.extensions);
  }

  // A stream that nobody announced: the track's only one under a new SSRC, or the one its rid element names (RFC 8852).
  #encodingOfStranger(packet: Buffer, view: RtpView, isRepeat: boolean): Encoding | null {
    const encoding = this.#encodings.nameStranger(packet, view, isRepeat);
    if (!encoding) return null;
    if (isRepeat) encoding.rtxSsrc = view.ssrc;
    else this.#switchSource(encoding, view.ssrc);
    return encoding;
  }

  #mend(encoding: Encoding, nowMs: number): void {
    this.#feedback.sendNacks(encoding, nowMs);
    const isNeeded = encoding.nacks.takeGaveUp() && (!this.#isSimulcast || (this.#needed >> encoding.index) & 1);
    if (isNeeded) this.requestKeyFrame(encoding, nowMs);
  }

  #switchSource(encoding: Encoding, ssrc: number): void {
    const first = encoding.lastPacketMs < 0 || encoding.ssrc === 0;
    if (first) {
      encoding.ssrc = ssrc;
      return;
    }
    encoding.restart(ssrc);
    this.#resynchronise(encoding);
  }

  #switchCodec(encoding: Encoding, codec: Codec): void {
    encoding.switchCodec(codec);
    if (codec === this.#codec) return;
    this.#codec = codec;
    this.#onCodecChange(this);
  }

  #resynchronise(encoding: Encoding): void {
    for (const sink of this.#sinks) sink.resynchronise(encoding);
  }

  #receiveRtcp(datagram: Buffer): void {
    const nowMs = performance.now();
    this.#lastReportHeardMs = nowMs;
    for (const packet of parseRtcp(datagram, false)) {
      if (packet.type !== 'sr') continue;
      const encoding = this.#encodings.find(packet.ssrc);
      if (!encoding || encoding.ssrc !== packet.ssrc) continue;
      encoding.senderReport = packet;
      encoding.senderReportMs = nowMs;
      encoding.reception.recordSenderReport(packet, nowMs);
      for (const sink of this.#sinks) sink.onSenderReport(encoding, nowMs);
    }
  }
}

/** Its absolute send time; -1 without one. */
function sendTimeOf(packet: Buffer, { sendTimeAt }: RtpView): number {
  return sendTimeAt > 0 ? packet.readUIntBE(sendTimeAt, 3) : -1;
}
