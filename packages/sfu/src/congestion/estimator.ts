import type { TransportFeedbackPacket } from '../rtp/rtcp/packets.ts';
import { DelayTrend } from './delay-trend.ts';
import { LossBound } from './loss-bound.ts';
import { Prober } from './prober.ts';
import { RateControl } from './rate-control.ts';
import { RateMeter } from './rate-meter.ts';
import { SendHistory } from './send-history.ts';

/** Assumed of a path that nothing is known about: the smaller pictures of a few, whose encoders begin with more than they keep to. */
const START_BPS = 1_000_000;
const MAX_START_BPS = 5_000_000;
const MIN_BPS = 30_000;
const MAX_BPS = 50_000_000;
const FIRST_RTT_MS = 100;
/** After a probe its queue has to empty before delays mean anything again. */
const DRAIN_MS = 150;
/** No probe so soon after the rate went down. */
const CALM_MS = 1_000;
/** So long after a decrease, and a round trip, reports are about what was sent before it. */
const SETTLING_MS = 300;
/** Much was sent and nothing was heard for so long: the path is worse than thought. */
const SILENCE_MS = 1_500;
const SILENCE_PACKETS = 20;
const AFTER_SILENCE = 0.8;
/** Transport-wide feedback counts for so long, then REMB and receiver reports do. */
const FEEDBACK_MS = 5_000;
const REFERENCE_MS = 64;
/** Throughput is measured over so long: a longer time would still remember, at the first sign of a queue, that less was sent. */
const THROUGHPUT_MS = 250;
/** Packets lost between two reports; more is another beginning. */
const MAX_GAP = 1_000;
/** With reports of loss only, the rate rises while they tell of less than this. */
const LOW_LOSS = 0.05;

/** How a report changes the number of lost packets. */
const LOST_BY = { received: 0, 'received-late': -1, lost: 1 } as const;

/**
 * What the path to one peer takes, by what the peer reports about what it was sent: transport-wide feedback
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01), else REMB, else receiver reports. Pure: the time comes in, in
 * milliseconds on a clock that never goes back, and what has to be sent is asked for.
 */
export class BandwidthEstimator {
  readonly prober = new Prober();
  readonly #history = new SendHistory();
  readonly #trend = new DelayTrend();
  readonly #rate = new RateControl(START_BPS);
  readonly #loss = new LossBound();
  readonly #sent = new RateMeter();
  /** On the peer's clock. */
  readonly #acknowledged = new RateMeter(THROUGHPUT_MS);
  #source: 'none' | 'feedback' | 'remb' | 'reports' = 'none';
  #rembBps = Number.POSITIVE_INFINITY;
  #targetBps = START_BPS;
  #rttMs = FIRST_RTT_MS;
  #heardMs = Number.NEGATIVE_INFINITY;
  #loweredMs = Number.NEGATIVE_INFINITY;
  #probeEndedMs = Number.NEGATIVE_INFINITY;
  /** Packets sent, numbered or not; then those of it at the last receiver report and when the peer was heard last. */
  #packets = 0;
  #packetsAtReport = 0;
  #packetsWhenHeard = 0;
  #wantsUnproved = false;
  /** The last packet that was reported on, and the count of the report. */
  #newest = -1;
  #feedbackCount = -1;
  #lastReference = -1;
  #referenceMs = 0;

  /** What the path takes, in bit/s; null until the peer has reported. */
  get availableBps(): number | null {
    return this.#source === 'none' ? null : this.#targetBps;
  }

  /** Begins with more than usual, as long as nothing is known: the least that shows every picture. */
  assume(bps: number): void {
    if (this.#source !== 'none') return;
    this.#rate.set(Math.min(MAX_START_BPS, Math.max(START_BPS, bps)));
    this.#targetBps = this.#rate.bps;
  }

  /** What may be sent: the estimate, or a careful guess before there is one. */
  get targetBps(): number {
    return this.#targetBps;
  }

  /** From a packet's sending to the report about it, the peer's waiting included. */
  get rttMs(): number {
    return this.#rttMs;
  }

  /** Share of packets that the peer reported lost of late, 0 to 1. */
  get lossShare(): number {
    return this.#loss.share;
  }

  /**
   * Notes one packet that is sent now, with its transport-wide sequence number. The hot path: allocates nothing.
   * @returns the number to write into the packet
   */
  record(bytes: number, nowMs: number): number {
    const cluster = this.prober.cluster;
    this.#packets++;
    if (cluster !== 0) this.prober.sent(this.#history.count, bytes, nowMs);
    this.#sent.add(bytes, nowMs);
    return this.#history.record(bytes, nowMs, cluster);
  }

  /** Notes one packet that carries no transport-wide number. */
  recordUnnumbered(bytes: number, nowMs: number): void {
    this.#packets++;
    this.prober.sentUnnumbered(bytes, nowMs);
    this.#sent.add(bytes, nowMs);
  }

  /**
   * Notes one packet that is sent once more because it was lost, under the number of the first time.
   * @param sequence16 its transport-wide number
   */
  recordRepeated(sequence16: number, bytes: number, nowMs: number): void {
    this.recordUnnumbered(bytes, nowMs);
    const sequence = this.#history.unwrap(sequence16);
    if (this.#history.repeat(sequence) && this.#history.cluster(sequence) === 0) this.#loss.add(0, 1);
  }

  /** Takes transport-wide feedback of the peer. */
  onFeedback(feedback: TransportFeedbackPacket, nowMs: number): void {
    const baseMs = this.#unwrapReference(feedback.referenceTime);
    const first = this.#history.unwrap(feedback.baseSequence);
    // Some begin with what arrived and leave out what was lost before it. A gap after a lost report tells nothing.
    const follows = feedback.feedbackCount === ((this.#feedbackCount + 1) & 255) && first - this.#newest < MAX_GAP;
    this.#feedbackCount = feedback.feedbackCount;
    if (follows) for (let i = this.#newest + 1; i < first; i++) this.#learnPacket(i, Number.NaN, nowMs);
    const { arrivalsUs } = feedback;
    let newestSentMs = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < arrivalsUs.length; i++) {
      const arrivalUs = arrivalsUs[i] as number | null;
      const arrivedMs = arrivalUs === null ? Number.NaN : baseMs + arrivalUs / 1_000;
      if (this.#learnPacket(first + i, arrivedMs, nowMs) && arrivalUs !== null)
        newestSentMs = this.#history.sentMs(first + i);
    }
    if (newestSentMs < 0) return;
    this.#hear('feedback', nowMs);
    this.#rttMs += (nowMs - newestSentMs - this.#rttMs) / 8;
    this.#learn(nowMs);
  }

  /** Takes a receiver estimate (REMB); it counts while the peer sends no transport-wide feedback. */
  onRemb(bitrateBps: number, nowMs: number): void {
    const hasFallen = bitrateBps < this.#rembBps;
    this.#rembBps = bitrateBps;
    if (this.#hasFeedback(nowMs)) return;
    if (hasFallen) this.prober.interrupt(nowMs);
    this.#hear('remb', nowMs);
    this.#update(nowMs);
  }

  /** Takes the loss of a receiver report, a share of 1; it counts while nothing better comes. */
  onReceiverReport(fractionLost: number, nowMs: number): void {
    if (this.#hasFeedback(nowMs)) return;
    const packets = this.#packets - this.#packetsAtReport;
    this.#packetsAtReport = this.#packets;
    this.#loss.add(packets * (1 - fractionLost), packets * fractionLost);
    const sentBps = this.#sent.bitrateBps(nowMs) ?? 0;
    // Whatever was sent so far is no reason for alarm by itself.
    if (this.#source === 'none') this.#rate.set(Math.max(this.#rate.bps, sentBps));
    this.#hear(this.#source === 'remb' ? 'remb' : 'reports', nowMs);
    this.#loss.update(this.#targetBps, sentBps * (1 - fractionLost), nowMs);
    if (this.#source === 'reports' && this.#loss.share < LOW_LOSS)
      this.#rate.update('normal', sentBps, null, true, this.#rttMs, nowMs);
    this.#update(nowMs);
  }

  /**
   * Watches for silence, ends probes and begins them. Call it every 50 ms or so.
   * @param wantedBps what everything that is wanted would take
   * @param canProbe padding can be sent; otherwise the rate rises without proof while more is wanted
   */
  tick(wantedBps: number, canProbe: boolean, nowMs: number): void {
    this.#wantsUnproved = !canProbe && wantedBps > this.#targetBps;
    this.#checkSilence(nowMs);
    // REMB tells of a probe only by rising: a receiver estimates no more than it is sent, or somewhat above.
    if (this.#source === 'none' || this.#source === 'reports' || !canProbe) return;
    this.prober.tick(
      {
        targetBps: this.#targetBps,
        wantedBps: Math.min(wantedBps, MAX_BPS),
        rttMs: this.#rttMs,
        congested: (this.#trend.use === 'over' && nowMs - this.#heardMs < CALM_MS) || nowMs - this.#loweredMs < CALM_MS,
      },
      nowMs,
    );
  }

  /** @param arrivedMs NaN for a packet that did not. @returns whether that was news */
  #learnPacket(sequence: number, arrivedMs: number, nowMs: number): boolean {
    const history = this.#history;
    const received = !Number.isNaN(arrivedMs);
    const report = history.report(sequence, received);
    if (report === 'unknown') return false;
    if (sequence > this.#newest) this.#newest = sequence;
    if (report === 'repeated') return false;
    const cluster = history.cluster(sequence);
    if (cluster === 0) this.#loss.add(received ? 1 : 0, LOST_BY[report]);
    // A probe may lose what it likes: that is no reason to send less than before.
    else if (report !== 'received-late') this.prober.report(cluster, sequence, arrivedMs, nowMs);
    if (!received) return true;
    this.#acknowledged.add(history.bytes(sequence), arrivedMs);
    const sentMs = history.sentMs(sequence);
    if (cluster === 0 && sentMs >= this.#probeEndedMs + DRAIN_MS) this.#trend.add(sentMs, arrivedMs);
    return true;
  }

  #learn(nowMs: number): void {
    const throughputBps = this.#acknowledged.bitrateBps(this.#acknowledged.newestMs);
    const sentBps = this.#sent.bitrateBps(nowMs) ?? this.#targetBps;
    const before = this.#targetBps;
    if (this.#trend.use === 'over') this.prober.interrupt(nowMs);
    const wasUnderWay = this.prober.isUnderWay;
    const probed = this.prober.take(this.#newest, this.#loss.ownShare, nowMs);
    if (wasUnderWay && !this.prober.isUnderWay) {
      this.#probeEndedMs = nowMs;
      this.#trend.reset();
    }
    if (probed) this.#applyProbe(probed.bps, probed.saturated, throughputBps ?? 0);
    else this.#rate.update(this.#trend.use, sentBps, throughputBps, this.#wantsUnproved, this.#rttMs, nowMs);
    if (nowMs - this.#loweredMs >= SETTLING_MS + this.#rttMs) this.#loss.update(this.#targetBps, throughputBps, nowMs);
    else this.#loss.discard(nowMs);
    this.#update(nowMs);
    if (this.#targetBps >= before * 0.99) return;
    this.#loweredMs = nowMs;
    this.prober.disappoint(nowMs);
  }

  // A path that was filled shows what it takes, up or down; one that was not takes at least so much.
  #applyProbe(bps: number, saturated: boolean, throughputBps: number): void {
    if (saturated) this.#rate.set(Math.max(bps, Math.min(throughputBps, this.#rate.bps)));
    else if (bps > this.#rate.bps) this.#rate.set(bps);
    if (bps > this.#targetBps) this.#loss.raise(bps);
  }

  #update(nowMs: number): void {
    const receiver = this.#source === 'remb' ? this.#rembBps : this.#rate.bps;
    this.#targetBps = Math.min(MAX_BPS, Math.max(MIN_BPS, Math.min(receiver, this.#loss.bps)));
    // No bound may run away from the others: what it allows beyond them was never tried.
    if (this.#source !== 'remb' && this.#loss.bps < this.#rate.bps) this.#rate.limit(this.#loss.bps * 1.2, nowMs);
  }

  #checkSilence(nowMs: number): void {
    if (this.#source !== 'feedback' || nowMs - this.#heardMs < SILENCE_MS) return;
    if (this.#packets - this.#packetsWhenHeard < SILENCE_PACKETS) return;
    this.#hear('feedback', nowMs);
    this.#rate.limit(this.#targetBps * AFTER_SILENCE, nowMs);
    this.#loweredMs = nowMs;
    this.#update(nowMs);
  }

  #hasFeedback(nowMs: number): boolean {
    return this.#source === 'feedback' && nowMs - this.#heardMs < FEEDBACK_MS;
  }

  #hear(source: 'feedback' | 'remb' | 'reports', nowMs: number): void {
    this.#source = source;
    this.#heardMs = nowMs;
    this.#packetsWhenHeard = this.#packets;
  }

  // 24 bits of 64 ms wrap after twelve days.
  #unwrapReference(reference: number): number {
    if (this.#lastReference < 0) this.#referenceMs = reference * REFERENCE_MS;
    else this.#referenceMs += (((reference - this.#lastReference) << 8) >> 8) * REFERENCE_MS;
    this.#lastReference = reference;
    return this.#referenceMs;
  }
}
