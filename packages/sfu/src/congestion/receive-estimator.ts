import { DelayTrend } from './delay-trend.ts';
import { LossBound } from './loss-bound.ts';
import { RateControl } from './rate-control.ts';
import { RateMeter } from './rate-meter.ts';

/** Told to a publisher of which nothing is known; and the most that is ever told. */
const START_BPS = 2_500_000;
const MAX_BPS = 10_000_000;
const MIN_BPS = 100_000;
/** Absolute send time counts 2^-18 s in 24 bits. */
const TICKS_PER_MS = 262.144;

/**
 * What the path from a publisher takes, worked out on the receiving side (draft-alvestrand-rmcat-remb-03) for publishers
 * that know no transport-wide feedback: by delays where packets carry their absolute send time, and by loss.
 */
export class ReceiveEstimator {
  readonly #trend = new DelayTrend();
  readonly #rate = new RateControl(START_BPS);
  readonly #loss = new LossBound();
  readonly #received = new RateMeter();
  #packets = 0;
  #lastSendTime = -1;
  #sentMs = 0;

  /**
   * Notes one packet. Allocates nothing.
   * @param sendTime its absolute send time as it stands in the packet; -1 without one
   */
  record(bytes: number, sendTime: number, nowMs: number): void {
    this.#packets++;
    this.#received.add(bytes, nowMs);
    if (sendTime < 0) return;
    if (this.#lastSendTime >= 0) this.#sentMs += (((sendTime - this.#lastSendTime) << 8) >> 8) / TICKS_PER_MS;
    this.#lastSendTime = sendTime;
    this.#trend.add(this.#sentMs, nowMs);
  }

  /** Notes the share of packets lost since the last time, 0 to 1. */
  learnLoss(share: number): void {
    this.#loss.add(this.#packets * (1 - share), this.#packets * share);
    this.#packets = 0;
  }

  /** What the publisher may send, in bit/s. Call it every half second or so. */
  update(nowMs: number): number {
    const received = this.#received.bitrateBps(nowMs);
    this.#rate.update(this.#trend.use, received ?? 0, received, true, 0, nowMs);
    this.#loss.update(Math.min(this.#rate.bps, this.#loss.bps), received, nowMs);
    this.#rate.limit(Math.min(MAX_BPS, this.#loss.bps), nowMs);
    return Math.max(MIN_BPS, this.#rate.bps);
  }
}
