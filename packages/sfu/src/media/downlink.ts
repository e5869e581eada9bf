import type { Clock, Timer } from '@orama/core';
import { type AllocationTrack, lowestBps } from '../congestion/allocate.ts';
import { Allocator } from '../congestion/allocator.ts';
import { BandwidthEstimator } from '../congestion/estimator.ts';
import type { RtcTrack } from '../rtc/track.ts';
import { TRANSPORT_SEQUENCE_ID } from '../rtp/extensions.ts';
import { type RtpView, writeUint16 } from '../rtp/header.ts';
import type { ReportBlock, RtcpPacket } from '../rtp/rtcp/packets.ts';
import type { MediaCounters } from './counters.ts';
import type { Subscription } from './subscription.ts';
import { sendTranslated } from './translated-extensions.ts';

/** What a sent packet is: media on its way for the first time, media again, or bytes that only measure the path. */
export const SENT = { media: 0, retransmission: 1, probe: 2 } as const;
export type SentKind = (typeof SENT)[keyof typeof SENT];

const ALLOCATION_MS = 250;
/** Padding of a probe goes out so often, so that it comes evenly. */
const PADDING_MS = 5;
/** A peer that was sent packets for so long and told nothing will not: it gets everything. */
const UNHEARD_MS = 2_000;
/** What is sent again has this share of the path at most, and so long of it at once: more would only make it lose more. */
const REPEAT_SHARE = 0.5;
const REPEAT_BURST_MS = 500;
/** So much more than there is room for is not sent until a smaller layer comes: it would keep that one's key frame away. */
const OVERLOAD = 1.3;
/** A budget that falls below this share is allocated at once. */
const FALLEN = 0.95;
/** A compound of reports may come once for each track it is about. */
const SAME_REPORT_MS = 100;

/**
 * Everything that is sent to one peer, whatever the track: numbers the packets transport-wide, estimates from what the
 * peer reports how much its path takes, and shares that among the tracks.
 */
export class Downlink {
  readonly #counters: MediaCounters;
  readonly #clock: Clock;
  readonly #estimator = new BandwidthEstimator();
  readonly #allocator = new Allocator<Subscription>();
  #firstSentMs = Number.POSITIVE_INFINITY;
  #allocatedMs = Number.NEGATIVE_INFINITY;
  #budgetBps = Number.POSITIVE_INFINITY;
  #wantedBps = 0;
  #repeatCredit = 0;
  #repeatMs = Number.NEGATIVE_INFINITY;
  #reportMs = Number.NEGATIVE_INFINITY;
  /** Whose RTX stream carries padding; null when nobody's can. */
  #padder: Subscription | null = null;
  #paddingTimer: Timer | null = null;
  /** When the peer last reported; minus infinity before the first time. */
  heardMs = Number.NEGATIVE_INFINITY;

  constructor(counters: MediaCounters, clock: Clock) {
    this.#counters = counters;
    this.#clock = clock;
  }

  /** What the path takes in our estimate, in bit/s; null until the peer has reported. */
  get availableBps(): number | null {
    return this.#estimator.availableBps;
  }

  /**
   * Sends one RTP packet on `track`, under the next transport-wide sequence number where it has the element for one.
   * The hot path: it allocates nothing.
   * @param view of the packet, for where its extensions stand
   */
  send(track: RtcTrack, packet: Buffer, view: RtpView, kind: SentKind, nowMs: number): boolean {
    if (isNumbered(track, view))
      writeUint16(packet, view.transportSequenceAt, this.#estimator.record(packet.length, nowMs));
    else this.#estimator.recordUnnumbered(packet.length, nowMs);
    if (view.sendTimeAt > 0) writeSendTime(packet, view.sendTimeAt, nowMs);
    if (nowMs < this.#firstSentMs) this.#firstSentMs = nowMs;
    if (!this.#transmit(track, packet, view)) return false;
    if (kind === SENT.probe) this.#counters.paddingBytesOut += packet.length;
    return true;
  }

  /**
   * Sends a packet once more as `send` left it, byte for byte, transport-wide number included: SRTP may not protect two
   * packets under one index (RFC 3711 section 9.1, RFC 7714 section 8.1).
   * @param view of the packet, as read from it
   */
  sendAgain(track: RtcTrack, packet: Buffer, view: RtpView, nowMs: number): boolean {
    if (isNumbered(track, view)) this.#estimator.recordRepeated(view.transportSequence, packet.length, nowMs);
    else this.#estimator.recordUnnumbered(packet.length, nowMs);
    return this.#transmit(track, packet, view);
  }

  /** Whether there is room to send a packet of so many bytes again; it counts as sent then. */
  mayRepeat(bytes: number, nowMs: number): boolean {
    const { availableBps } = this;
    if (availableBps === null) return true;
    const bytesPerMs = (availableBps * REPEAT_SHARE) / 8_000;
    const earned = (nowMs - this.#repeatMs) * bytesPerMs;
    this.#repeatCredit = Math.min(REPEAT_BURST_MS * bytesPerMs, this.#repeatCredit + earned);
    this.#repeatMs = nowMs;
    if (this.#repeatCredit <= 0) return false;
    this.#repeatCredit -= bytes;
    return true;
  }

  /** Takes what the peer reports, one RTCP datagram. */
  receive(packets: readonly RtcpPacket[], nowMs: number): void {
    this.heardMs = nowMs;
    for (const packet of packets) {
      if (packet.type === 'twcc') this.#estimator.onFeedback(packet, nowMs);
      else if (packet.type === 'remb') this.#estimator.onRemb(packet.bitrateBps, nowMs);
      else if (packet.type === 'rr' || packet.type === 'sr') this.#learnReports(packet.reports, nowMs);
    }
  }

  /** Shares the path among `subscriptions`, and measures it when they want more. Call it every 50 ms or so. */
  tick(subscriptions: Iterable<Subscription>, nowMs: number): void {
    const hasFallen = this.#estimator.targetBps < this.#budgetBps * FALLEN;
    if (nowMs - this.#allocatedMs >= ALLOCATION_MS || hasFallen) this.#allocate(subscriptions, nowMs);
    this.#measure(nowMs);
  }

  /** Sends nothing of its own accord any more. */
  close(): void {
    this.#stopPadding();
  }

  #transmit(track: RtcTrack, packet: Buffer, view: RtpView): boolean {
    const isSame = (view.elements & track.changedIds) === 0;
    if (!(isSame ? track.send(packet) : sendTranslated(track, packet, view, track.extensionIds as Uint8Array))) {
      this.#counters.sendFailures++;
      return false;
    }
    this.#counters.packetsOut++;
    this.#counters.bytesOut += packet.length;
    return true;
  }

  #allocate(subscriptions: Iterable<Subscription>, nowMs: number): void {
    this.#allocatedMs = nowMs;
    const tracks = new Map<Subscription, Omit<AllocationTrack, 'current'>>();
    this.#padder = null;
    for (const subscription of subscriptions) {
      if (subscription.takesPadding) this.#padder = subscription;
      const { wanted, wish, priority, publication } = subscription;
      if (!wanted || !publication.isFlowing(nowMs)) continue;
      tracks.set(subscription, { kind: publication.kind, priority, wish, layers: publication.layers(nowMs) });
    }
    const estimator = this.#estimator;
    estimator.assume(lowestBps([...tracks.values()]));
    const isUnheard = estimator.availableBps === null && nowMs - this.#firstSentMs > UNHEARD_MS;
    this.#budgetBps = isUnheard ? Number.POSITIVE_INFINITY : estimator.targetBps;
    const { layers, wantedBps } = this.#allocator.update(tracks, this.#budgetBps, nowMs);
    let sentBps = 0;
    for (const { bitrateBps } of tracks.keys()) sentBps += bitrateBps;
    const isOverloaded = sentBps > this.#budgetBps * OVERLOAD;
    let i = 0;
    for (const [subscription, { layers: options }] of tracks) {
      const layer = layers[i++] ?? null;
      if (options.length > 0) subscription.setTarget(layer, isOverloaded);
    }
    this.#wantedBps = wantedBps;
  }

  #measure(nowMs: number): void {
    const estimator = this.#estimator;
    const { begun, succeeded } = estimator.prober;
    estimator.tick(this.#wantedBps, this.#padder !== null, nowMs);
    this.#counters.probes += estimator.prober.begun - begun;
    this.#counters.probesSucceeded += estimator.prober.succeeded - succeeded;
    if (estimator.prober.cluster !== 0) this.#paddingTimer ??= this.#clock.every(PADDING_MS, () => this.#pad());
  }

  #learnReports(reports: readonly ReportBlock[], nowMs: number): void {
    if (reports.length === 0 || nowMs - this.#reportMs < SAME_REPORT_MS) return;
    this.#reportMs = nowMs;
    const lost = reports.reduce((sum, { fractionLost }) => sum + fractionLost, 0);
    this.#estimator.onReceiverReport(lost / reports.length / 256, nowMs);
  }

  #pad(): void {
    const nowMs = performance.now();
    const { prober } = this.#estimator;
    for (let due = prober.due(nowMs); due > 0; due = prober.due(nowMs))
      if (!this.#padder?.pad(due, nowMs)) {
        this.#stopPadding();
        return;
      }
    if (prober.cluster === 0) this.#stopPadding();
  }

  #stopPadding(): void {
    this.#paddingTimer?.cancel();
    this.#paddingTimer = null;
  }
}

/** Whether it goes out with a transport-wide number. */
function isNumbered({ extensionIds }: RtcTrack, { transportSequenceAt }: RtpView): boolean {
  return transportSequenceAt > 0 && (extensionIds === null || extensionIds[TRANSPORT_SEQUENCE_ID] !== 0);
}

// abs-send-time: seconds with 18 bits behind the point, 24 bits in all.
function writeSendTime(packet: Buffer, at: number, nowMs: number): void {
  const time = Math.floor((nowMs * 262_144) / 1_000) & 0xffffff;
  packet[at] = time >>> 16;
  writeUint16(packet, at + 1, time & 0xffff);
}
