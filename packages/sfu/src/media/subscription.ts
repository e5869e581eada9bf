import { TokenBucket } from '@orama/core';
import type { Codec } from '../rtc/codecs.ts';
import type { RtcTrack } from '../rtc/track.ts';
import { readForwarded } from '../rtp/extensions.ts';
import { isRtcp, RtpView, sequenceDistance, writeUint16, writeUint32 } from '../rtp/header.ts';
import { buildSdes, buildSenderReport } from '../rtp/rtcp/build.ts';
import type { ReportBlock } from '../rtp/rtcp/packets.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import type { MediaCounters } from './counters.ts';
import { type Downlink, SENT, type SentKind } from './downlink.ts';
import type { Encoding } from './encoding.ts';
import type { PacketSink } from './packet-sink.ts';
import type { Publication } from './publication.ts';

/** Retransmissions one subscription may ask for: more would be an attack or a lost cause. */
const RETRANSMISSION_RATE = { burst: 300, perSec: 600 };
/** An epoch older than this many packets is no longer asked for. */
const EPOCH_PACKETS = 4_096;

/** From `firstOut` on, outgoing numbers are incoming ones plus these. */
interface Epoch {
  encoding: Encoding;
  firstOut: number;
  sequenceDelta: number;
  timestampDelta: number;
}

/** Of the packet that is sent again. */
const cachedView = new RtpView();

/** The layers a subscription should carry: the downlink's allocation says which. */
export interface LayerTarget {
  /** Index of the encoding (simulcast), or spatial layer (SVC). */
  spatial: number;
  temporal: number;
}
/** The best there is. */
export const ALL_LAYERS: LayerTarget = { spatial: 255, temporal: 255 };

/** What the subscriber tells about its reception. */
export interface ReceptionQuality {
  fractionLost: number;
  rttMs: number | null;
}

/** One peer's copy of another's track: the packets under the subscriber's own numbers. */
export class Subscription implements PacketSink {
  readonly publication: Publication;
  /** Mid of the m-line that carries it. */
  readonly mid: string;
  readonly ssrc: number;
  readonly cname: string;
  readonly #downlink: Downlink;
  readonly #counters: MediaCounters;
  readonly #retransmissions: TokenBucket;
  #track: RtcTrack | null = null;
  #codec: Codec | null = null;
  #payloadType = 0;
  #enabled = true;
  #target: LayerTarget | null = ALL_LAYERS;
  /** The encoding that is forwarded, or waited for. */
  #current: Encoding;
  #waiting = true;
  #epochs: Epoch[] = [];
  #lastSequence: number;
  #lastTimestamp = 0;
  #lastSentMs = 0;
  #packets = 0;
  #octets = 0;
  #timestampFollows = true;
  readonly #reportsSent: { middle: number; atMs: number }[] = [];
  quality: ReceptionQuality = { fractionLost: 0, rttMs: null };

  constructor(options: {
    publication: Publication;
    mid: string;
    ssrc: number;
    cname: string;
    downlink: Downlink;
    counters: MediaCounters;
    firstSequence: number;
  }) {
    this.publication = options.publication;
    this.mid = options.mid;
    this.ssrc = options.ssrc;
    this.cname = options.cname;
    this.#downlink = options.downlink;
    this.#counters = options.counters;
    this.#current = this.#wantedEncoding;
    this.#retransmissions = new TokenBucket(RETRANSMISSION_RATE, performance.now());
    this.#lastSequence = (options.firstSequence - 1) & 0xffff;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** The first sequence number that was not sent. */
  get nextSequence(): number {
    return (this.#lastSequence + 1) & 0xffff;
  }

  /** Whether packets flow: negotiated, wanted and open. */
  get active(): boolean {
    return this.#track !== null && this.#enabled && this.#target !== null;
  }

  /** What it should carry; null while paused for want of bandwidth. */
  get target(): LayerTarget | null {
    return this.#target;
  }

  /** The encoding that is forwarded, or waited for. */
  get current(): Encoding {
    return this.#current;
  }

  /** Sets what to carry; null pauses. Another encoding begins with its next key frame, which is asked for. */
  setTarget(target: LayerTarget | null): void {
    const paused = this.#target === null;
    this.#target = target;
    if (target === null || (!paused && this.#wantedEncoding === this.#current)) return;
    this.#current = this.#wantedEncoding;
    this.#timestampFollows = false;
    this.#restart();
  }

  /** The subscriber accepted the track: forward `codec` under `payloadType` from the next key frame on. */
  activate(track: RtcTrack, codec: Codec, payloadType: number): void {
    if (this.#track === track && this.#codec === codec && this.#payloadType === payloadType) return;
    this.#track = track;
    this.#codec = codec;
    this.#payloadType = payloadType;
    track.onPacket = (packet) => this.#receive(packet);
    this.#restart();
  }

  /** The subscriber takes nothing for now; `activate` goes on. */
  deactivate(): void {
    if (this.#track) this.#track.onPacket = null;
    this.#track = null;
  }

  /** Pauses or resumes without negotiating. */
  setEnabled(enabled: boolean): void {
    if (this.#enabled === enabled) return;
    this.#enabled = enabled;
    this.#restart();
  }

  /** The encoding's numbers break off and begin anew; ours go on. */
  resynchronise(encoding: Encoding): void {
    if (encoding !== this.#current) return;
    this.#timestampFollows = false;
    this.#restart();
  }

  /** Sends one packet on, rewritten in place. The hot path: it allocates nothing. */
  forward(packet: Buffer, view: RtpView, encoding: Encoding, nowMs: number): void {
    if (encoding !== this.#current || !this.active || encoding.codec !== this.#codec) return;
    if (this.#waiting) {
      if (!view.payload.startsKeyFrame) return;
      this.#align(view, nowMs);
    }
    const epoch = this.#epochs[this.#epochs.length - 1] as Epoch;
    const sequence = (view.sequence + epoch.sequenceDelta) & 0xffff;
    const ahead = sequenceDistance(this.#lastSequence, sequence);
    // Before the key frame this epoch began with: the subscriber cannot use it, and its number is taken.
    if (ahead <= 0 && sequenceDistance(epoch.firstOut, sequence) < 0) return;
    const timestamp = (view.timestamp + epoch.timestampDelta) >>> 0;
    if (ahead > 0) {
      this.#lastSequence = sequence;
      this.#lastTimestamp = timestamp;
      this.#lastSentMs = nowMs;
      if (this.#epochs.length > 1 && sequenceDistance(epoch.firstOut, sequence) > EPOCH_PACKETS) this.#epochs = [epoch];
    }
    this.#write(packet, view, sequence, timestamp, SENT.media, nowMs);
    this.#packets++;
    this.#octets += view.payloadEnd - view.payloadStart;
  }

  /** Sends the publisher's report under our SSRC, timestamp and counts (RFC 3550 section 6.4.1), so that lip sync holds. */
  onSenderReport(encoding: Encoding, nowMs: number): void {
    const epoch = this.#epochs.at(-1);
    const report = encoding.senderReport;
    if (encoding !== this.#current || !this.#track || !this.active || this.#waiting || !epoch || !report) return;
    this.#reportsSent.push({ middle: ((report.ntpSeconds << 16) | (report.ntpFraction >>> 16)) >>> 0, atMs: nowMs });
    if (this.#reportsSent.length > 8) this.#reportsSent.shift();
    this.#track.send(
      Buffer.concat([
        buildSenderReport({
          ssrc: this.ssrc,
          ntpSeconds: report.ntpSeconds,
          ntpFraction: report.ntpFraction,
          rtpTimestamp: (report.rtpTimestamp + epoch.timestampDelta) >>> 0,
          packetCount: this.#packets >>> 0,
          octetCount: this.#octets >>> 0,
          reports: [],
        }),
        buildSdes(this.ssrc, this.cname),
      ]),
    );
  }

  #align(view: RtpView, nowMs: number): void {
    const firstOut = this.nextSequence;
    const previous = this.#epochs.at(-1);
    let timestampDelta = previous?.timestampDelta ?? 0;
    if (previous && !this.#timestampFollows) {
      const elapsed = Math.max(1, Math.round(((nowMs - this.#lastSentMs) * (this.#codec as Codec).clockRate) / 1000));
      timestampDelta = (this.#lastTimestamp + elapsed - view.timestamp) >>> 0;
    }
    this.#epochs.push({
      encoding: this.#current,
      firstOut,
      sequenceDelta: (firstOut - view.sequence) & 0xffff,
      timestampDelta,
    });
    if (this.#epochs.length > 4) this.#epochs.shift();
    this.#waiting = false;
    this.#timestampFollows = true;
    this.onSenderReport(this.#current, nowMs);
  }

  get #wantedEncoding(): Encoding {
    const { encodings } = this.publication;
    return encodings[Math.min(this.#target?.spatial ?? 0, encodings.length - 1)] as Encoding;
  }

  #restart(): void {
    this.#waiting = true;
    if (this.active) this.publication.requestKeyFrame(this.#current, performance.now());
  }

  #write(packet: Buffer, view: RtpView, sequence: number, timestamp: number, kind: SentKind, nowMs: number): void {
    packet[1] = ((packet[1] as number) & 0x80) | this.#payloadType;
    writeUint16(packet, 2, sequence);
    writeUint32(packet, 4, timestamp);
    writeUint32(packet, 8, this.ssrc);
    this.#downlink.send(this.#track as RtcTrack, packet, view, kind, nowMs);
  }

  #receive(datagram: Buffer): void {
    if (!isRtcp(datagram)) return;
    const nowMs = performance.now();
    const packets = parseRtcp(datagram);
    this.#downlink.receive(packets, nowMs);
    for (const packet of packets) {
      if (packet.type === 'nack' && packet.mediaSsrc === this.ssrc) this.#retransmit(packet.sequences, nowMs);
      else if (packet.type === 'pli' && packet.mediaSsrc === this.ssrc) this.#keyFrameWanted(nowMs);
      else if (packet.type === 'fir' && packet.entries.some(({ ssrc }) => ssrc === this.ssrc))
        this.#keyFrameWanted(nowMs);
      else if (packet.type === 'rr' || packet.type === 'sr')
        for (const report of packet.reports) if (report.ssrc === this.ssrc) this.#learnQuality(report, nowMs);
    }
  }

  #keyFrameWanted(nowMs: number): void {
    this.#counters.keyFrameRequestsIn++;
    if (this.active) this.publication.requestKeyFrame(this.#current, nowMs);
  }

  #retransmit(sequences: readonly number[], nowMs: number): void {
    this.#counters.nacksIn += sequences.length;
    if (!this.#track || this.publication.forcedMute) return;
    for (const sequence of sequences) {
      const epoch = this.#epochOf(sequence);
      if (!epoch) continue;
      const cached = epoch.encoding.cache.get((sequence - epoch.sequenceDelta) & 0xffff);
      if (!cached) continue;
      if (!this.#retransmissions.take(nowMs)) return;
      this.#counters.retransmitted++;
      const timestamp = (cached.timestamp + epoch.timestampDelta) >>> 0;
      if (readForwarded(cached.packet, cachedView))
        this.#write(cached.packet, cachedView, sequence, timestamp, SENT.retransmission, nowMs);
    }
  }

  // Never a packet that was not sent yet: its number may still go to another one.
  #epochOf(sequence: number): Epoch | null {
    if (sequenceDistance(this.#lastSequence, sequence) > 0) return null;
    for (let i = this.#epochs.length - 1; i > 0; i--) {
      const epoch = this.#epochs[i] as Epoch;
      if (sequenceDistance(epoch.firstOut, sequence) >= 0) return epoch;
    }
    return this.#epochs[0] ?? null;
  }

  #learnQuality(report: ReportBlock, nowMs: number): void {
    const sent = this.#reportsSent.find(({ middle }) => middle === report.lastSenderReport);
    const rttMs = sent
      ? Math.max(0, nowMs - sent.atMs - report.delaySinceLastSenderReport / 65.536)
      : this.quality.rttMs;
    this.quality = { fractionLost: report.fractionLost / 256, rttMs };
  }
}
