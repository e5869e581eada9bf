import type { PathUse } from './delay-trend.ts';

/** What is left of the measured throughput when a queue grows: enough less that it empties. */
const DECREASE = 0.85;
/** While less than this share of what is allowed is sent, a decrease goes no lower than that one at once. */
const LIMITED = 0.8;
const CAREFUL_DECREASE = 0.7;
/** Growth per second, far from and near to where a queue grew last. */
const GROWTH = 0.08;
const GROWTH_NEAR = 0.03;
/** Near: between these shares of the throughput at the last overuse. */
const NEAR = [0.8, 1.05] as const;
const FORGET_LIMIT_MS = 30_000;
/** Nothing is believed beyond this much of what got through, unless a probe has shown it. */
const BEYOND = 1.2;
const BEYOND_BPS = 10_000;
const MIN_DECREASE_GAP_MS = 200;

/**
 * Additive-multiplicative control of a rate by what the path's queue does (draft-ietf-rmcat-gcc-02 section 5.5): down to
 * below the throughput when it grows, held while it empties, else slowly up.
 */
export class RateControl {
  #bps: number;
  #updatedMs = Number.NaN;
  #decreasedMs = Number.NEGATIVE_INFINITY;
  /** Throughput when a queue grew last. */
  #limitBps = Number.NaN;

  constructor(startBps: number) {
    this.#bps = startBps;
  }

  get bps(): number {
    return this.#bps;
  }

  /** When the rate was lowered last; minus infinity before. */
  get decreasedMs(): number {
    return this.#decreasedMs;
  }

  /**
   * @param sentBps what was sent of late
   * @param throughputBps what arrived of late; null while unknown
   * @param unproved it may rise beyond what got through
   */
  update(
    use: PathUse,
    sentBps: number,
    throughputBps: number | null,
    unproved: boolean,
    rttMs: number,
    nowMs: number,
  ): void {
    const elapsedMs = Number.isNaN(this.#updatedMs) ? 0 : Math.min(1_000, nowMs - this.#updatedMs);
    this.#updatedMs = nowMs;
    if (use === 'over') this.#decrease(sentBps, throughputBps, rttMs, nowMs);
    else if (use === 'normal') this.#increase(unproved ? Number.POSITIVE_INFINITY : throughputBps, elapsedMs, nowMs);
  }

  /** A probe has shown what the path takes. */
  set(bps: number): void {
    this.#bps = bps;
  }

  /** Lowers the rate for another reason than a queue. */
  limit(bps: number, nowMs: number): void {
    if (bps >= this.#bps) return;
    this.#bps = bps;
    this.#decreasedMs = nowMs;
  }

  #decrease(sentBps: number, throughputBps: number | null, rttMs: number, nowMs: number): void {
    if (nowMs - this.#decreasedMs < Math.max(MIN_DECREASE_GAP_MS, rttMs)) return;
    const throughput = throughputBps ?? this.#bps;
    const floor = sentBps < this.#bps * LIMITED ? this.#bps * CAREFUL_DECREASE : 0;
    this.#limitBps = throughput;
    this.#bps = Math.min(this.#bps, Math.max(throughput * DECREASE, floor));
    this.#decreasedMs = nowMs;
  }

  #increase(throughputBps: number | null, elapsedMs: number, nowMs: number): void {
    const share = this.#bps / this.#limitBps;
    const isNear = nowMs - this.#decreasedMs < FORGET_LIMIT_MS && share > NEAR[0] && share < NEAR[1];
    const grown = this.#bps * (1 + (isNear ? GROWTH_NEAR : GROWTH)) ** (elapsedMs / 1_000);
    const believable = throughputBps === null ? this.#bps : throughputBps * BEYOND + BEYOND_BPS;
    this.#bps = Math.max(this.#bps, Math.min(grown, believable));
  }
}
