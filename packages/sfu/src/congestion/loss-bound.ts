/** A judgement rests on at least so many packets and so long. */
const MIN_PACKETS = 20;
const MIN_INTERVAL_MS = 250;
/** The average forgets at this many packets. */
const AVERAGED_PACKETS = 100;
/** With less loss than this more is tried, with more than that the rate goes down. */
const LOW_LOSS = 0.02;
const HIGH_LOSS = 0.1;
const DECREASE_GAP_MS = 1_000;
/** From here on what got through is the best guess of what the path takes. */
const HEAVY_LOSS = 0.3;
const AFTER_HEAVY_LOSS = 0.95;
const GROWTH = 0.08;
const SLOW_GROWTH = 0.01;
/**
 * Loss that is still this share of what it was, after the rate went down so many times in a row, is the path's own, like
 * that of a bad radio link.
 */
const UNCHANGED = 0.8;
const ATTEMPTS = 4;
const IN_A_ROW_MS = 3_000;
const MAX_OWN_LOSS = 0.2;

/**
 * An upper bound by loss, for paths whose queue is too short to show in delays (policers) and for reports without arrival
 * times. Only loss beyond what the path loses anyway counts.
 */
export class LossBound {
  #bps = Number.POSITIVE_INFINITY;
  #received = 0;
  #lost = 0;
  #sinceMs = Number.NaN;
  #average = 0;
  #ownLoss = 0;
  /** Loss when the rate went down for the first time in a row, and how often it did. */
  #firstLoss = 0;
  #attempts = 0;
  #decreasedMs = Number.NEGATIVE_INFINITY;

  /** Infinity while loss says nothing. */
  get bps(): number {
    return this.#bps;
  }

  /** Share of packets lost of late, 0 to 1. */
  get share(): number {
    return this.#average;
  }

  /** The share that the path loses however little is sent. */
  get ownShare(): number {
    return this.#ownLoss;
  }

  /** Counts what reports say; a packet that was reported lost and came after all is `-1` lost and `1` received. */
  add(received: number, lost: number): void {
    this.#received += received;
    this.#lost += lost;
  }

  /**
   * Judges once enough is known.
   * @param targetBps what may be sent now, all bounds together
   * @param throughputBps what arrived of late; null while unknown
   */
  update(targetBps: number, throughputBps: number | null, nowMs: number): void {
    if (Number.isNaN(this.#sinceMs)) this.#sinceMs = nowMs;
    const elapsedMs = nowMs - this.#sinceMs;
    const packets = this.#received + this.#lost;
    if (elapsedMs < MIN_INTERVAL_MS || packets < MIN_PACKETS) return;
    const loss = Math.max(0, this.#lost / packets);
    this.#received = this.#lost = 0;
    this.#sinceMs = nowMs;
    this.#average += (loss - this.#average) * Math.min(1, packets / AVERAGED_PACKETS);
    this.#ownLoss = Math.min(this.#ownLoss, this.#average);
    if (loss - this.#ownLoss > HEAVY_LOSS && throughputBps !== null) {
      this.#lower(Math.min(targetBps, throughputBps * AFTER_HEAVY_LOSS), nowMs);
      return;
    }
    const excess = Math.min(loss, this.#average) - this.#ownLoss;
    if (excess > HIGH_LOSS) {
      if (nowMs - this.#decreasedMs < DECREASE_GAP_MS) return;
      this.#learnOwnLoss(nowMs);
      this.#lower(targetBps * (1 - excess / 2), nowMs);
      return;
    }
    const growth = excess < LOW_LOSS ? GROWTH : SLOW_GROWTH;
    this.#bps *= (1 + growth) ** (Math.min(1_000, elapsedMs) / 1_000);
    if (this.#bps > targetBps * 2) this.#bps = Number.POSITIVE_INFINITY;
  }

  /** Forgets what was counted and not judged: it is about another rate. */
  discard(nowMs: number): void {
    this.#received = this.#lost = 0;
    this.#sinceMs = nowMs;
  }

  /** A probe got `bps` through. */
  raise(bps: number): void {
    this.#bps = Math.max(this.#bps, bps);
  }

  #lower(bps: number, nowMs: number): void {
    this.#bps = Math.min(this.#bps, bps);
    this.#decreasedMs = nowMs;
  }

  // Loss by our own sending would have gone when the rate went down.
  #learnOwnLoss(nowMs: number): void {
    if (this.#attempts === 0 || nowMs - this.#decreasedMs > IN_A_ROW_MS) {
      this.#firstLoss = this.#average;
      this.#attempts = 1;
    } else if (++this.#attempts > ATTEMPTS) {
      this.#attempts = 0;
      if (this.#average >= this.#firstLoss * UNCHANGED) this.#ownLoss = Math.min(MAX_OWN_LOSS, this.#average);
    }
  }
}
