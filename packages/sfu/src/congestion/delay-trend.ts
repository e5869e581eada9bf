/** Packets sent within this time are one group: they travel as one burst. */
const GROUP_MS = 5;
/** Packets that arrive back to back although they were sent apart waited together: one group, up to this long. */
const MAX_BURST_MS = 100;
/** A pause longer than this says nothing about queues. */
const MAX_PAUSE_MS = 2_000;
/** Groups that the trend is fitted to. */
const WINDOW = 20;
const SMOOTHING = 0.9;
const GAIN = 4;
/** The trend counts more the more groups it rests on, up to this many. */
const FULL_CONFIDENCE_GROUPS = 60;
/** A queue has to grow for so long before it counts as overuse. */
const OVERUSE_MS = 10;
/**
 * And to stand: bursts, as key frames are, fill it for a moment. In this time the delay was never closer to the least of
 * the last seconds than so much.
 */
const STANDING_MS = 200;
const STANDING_DELAY_MS = 15;
const LEAST_MS = 5_000;
const FIRST_THRESHOLD = 12.5;
const MIN_THRESHOLD = 6;
const MAX_THRESHOLD = 600;
/** How fast the threshold follows larger and smaller trends, per millisecond (draft-ietf-rmcat-gcc-02 section 5.4). */
const THRESHOLD_UP = 0.0087;
const THRESHOLD_DOWN = 0.039;
/** Trends this far above the threshold are sudden changes of the path, not something to get used to. */
const OUTLIER = 15;

/** How the path's queue goes: it stays, it grows (we send too much), it empties. */
export type PathUse = 'normal' | 'over' | 'under';

/**
 * Watches whether queues grow: the trend of the one-way delay's variation between groups of packets, fitted by least
 * squares and held against an adaptive threshold (draft-ietf-rmcat-gcc-02 sections 5.1 to 5.4). The two clocks need not agree.
 */
export class DelayTrend {
  #use: PathUse = 'normal';
  #groupFirstSentMs = Number.NaN;
  #groupSentMs = 0;
  #groupFirstArrivedMs = 0;
  #groupArrivedMs = 0;
  #lastSentMs = Number.NaN;
  #lastArrivedMs = 0;
  readonly #arrivals = new Float64Array(WINDOW);
  readonly #delays = new Float64Array(WINDOW);
  /** From sending to arrival by the two clocks, by group; the least of the last seconds and of those before. */
  readonly #transits = new Float64Array(WINDOW);
  #leastTransit = Number.POSITIVE_INFINITY;
  #leastTransitBefore = Number.POSITIVE_INFINITY;
  #leastSinceMs = Number.NEGATIVE_INFINITY;
  #groups = 0;
  #delay = 0;
  #smoothed = 0;
  #slope = 0;
  #threshold = FIRST_THRESHOLD;
  #thresholdAtMs = Number.NaN;
  #overMs = 0;
  #overCount = 0;

  get use(): PathUse {
    return this.#use;
  }

  /** Takes one packet in the order of sending; times in milliseconds, each on its own clock. */
  add(sentMs: number, arrivedMs: number): void {
    if (Number.isNaN(this.#groupFirstSentMs)) {
      this.#begin(sentMs, arrivedMs);
      return;
    }
    if (sentMs < this.#groupFirstSentMs) return;
    if (this.#belongs(sentMs, arrivedMs)) {
      this.#groupSentMs = Math.max(this.#groupSentMs, sentMs);
      this.#groupArrivedMs = Math.max(this.#groupArrivedMs, arrivedMs);
      return;
    }
    this.#finish();
    this.#begin(sentMs, arrivedMs);
  }

  /** Forgets the delays seen, not how noisy the path is. */
  reset(): void {
    this.#groupFirstSentMs = this.#lastSentMs = this.#thresholdAtMs = Number.NaN;
    this.#groups = this.#delay = this.#smoothed = this.#slope = 0;
    this.#overMs = this.#overCount = 0;
    this.#use = 'normal';
  }

  #begin(sentMs: number, arrivedMs: number): void {
    this.#groupFirstSentMs = this.#groupSentMs = sentMs;
    this.#groupFirstArrivedMs = this.#groupArrivedMs = arrivedMs;
  }

  #belongs(sentMs: number, arrivedMs: number): boolean {
    if (sentMs - this.#groupFirstSentMs <= GROUP_MS) return true;
    const sinceArrival = arrivedMs - this.#groupArrivedMs;
    const variation = sinceArrival - (sentMs - this.#groupSentMs);
    return variation < 0 && sinceArrival <= GROUP_MS && arrivedMs - this.#groupFirstArrivedMs < MAX_BURST_MS;
  }

  #finish(): void {
    const sentDelta = this.#groupSentMs - this.#lastSentMs;
    const arrivedDelta = this.#groupArrivedMs - this.#lastArrivedMs;
    this.#learnLeast(this.#groupArrivedMs - this.#groupSentMs);
    if (sentDelta > MAX_PAUSE_MS || Math.abs(arrivedDelta) > MAX_PAUSE_MS * 2) this.#restart();
    else if (sentDelta >= 0) this.#learn(sentDelta, arrivedDelta);
    this.#lastSentMs = this.#groupSentMs;
    this.#lastArrivedMs = this.#groupArrivedMs;
  }

  #restart(): void {
    this.#groups = this.#delay = this.#smoothed = this.#slope = 0;
    this.#overMs = this.#overCount = 0;
    this.#use = 'normal';
  }

  #learn(sentDelta: number, arrivedDelta: number): void {
    this.#delay += arrivedDelta - sentDelta;
    this.#smoothed = SMOOTHING * this.#smoothed + (1 - SMOOTHING) * this.#delay;
    this.#arrivals[this.#groups % WINDOW] = this.#groupArrivedMs;
    this.#delays[this.#groups % WINDOW] = this.#smoothed;
    this.#transits[this.#groups % WINDOW] = this.#groupArrivedMs - this.#groupSentMs;
    this.#groups++;
    if (this.#groups < WINDOW) return;
    const before = this.#slope;
    this.#slope = this.#fit();
    this.#judge(before, sentDelta);
  }

  /** Slope of the smoothed delay over arrival time. */
  #fit(): number {
    let sumX = 0;
    let sumY = 0;
    // Relative to the last arrival: absolute times would cost the fit its precision.
    for (let i = 0; i < WINDOW; i++) {
      sumX += (this.#arrivals[i] as number) - this.#groupArrivedMs;
      sumY += this.#delays[i] as number;
    }
    const meanX = sumX / WINDOW;
    const meanY = sumY / WINDOW;
    let covariance = 0;
    let variance = 0;
    for (let i = 0; i < WINDOW; i++) {
      const x = (this.#arrivals[i] as number) - this.#groupArrivedMs - meanX;
      covariance += x * ((this.#delays[i] as number) - meanY);
      variance += x * x;
    }
    return variance === 0 ? this.#slope : covariance / variance;
  }

  #judge(slopeBefore: number, sentDelta: number): void {
    const trend = Math.min(this.#groups, FULL_CONFIDENCE_GROUPS) * this.#slope * GAIN;
    if (trend > this.#threshold) {
      this.#overMs += this.#overCount === 0 ? sentDelta / 2 : sentDelta;
      this.#overCount++;
      if (this.#overMs > OVERUSE_MS && this.#overCount > 1 && this.#slope >= slopeBefore && this.#isStanding()) {
        this.#overMs = this.#overCount = 0;
        this.#use = 'over';
      }
    } else {
      this.#overMs = this.#overCount = 0;
      this.#use = trend < -this.#threshold ? 'under' : 'normal';
    }
    this.#adapt(Math.abs(trend));
  }

  #isStanding(): boolean {
    const least = Math.min(this.#leastTransit, this.#leastTransitBefore) + STANDING_DELAY_MS;
    for (let i = 0; i < WINDOW; i++)
      if (this.#groupArrivedMs - (this.#arrivals[i] as number) <= STANDING_MS && (this.#transits[i] as number) < least)
        return false;
    return true;
  }

  #learnLeast(transit: number): void {
    if (Math.abs(this.#groupArrivedMs - this.#leastSinceMs) > LEAST_MS) {
      this.#leastTransitBefore = this.#leastTransit;
      this.#leastTransit = Number.POSITIVE_INFINITY;
      this.#leastSinceMs = this.#groupArrivedMs;
    }
    if (transit < this.#leastTransit) this.#leastTransit = transit;
  }

  #adapt(size: number): void {
    const elapsed = Number.isNaN(this.#thresholdAtMs)
      ? 0
      : Math.min(100, Math.max(0, this.#groupArrivedMs - this.#thresholdAtMs));
    this.#thresholdAtMs = this.#groupArrivedMs;
    if (size > this.#threshold + OUTLIER) return;
    const speed = size < this.#threshold ? THRESHOLD_DOWN : THRESHOLD_UP;
    const next = this.#threshold + speed * (size - this.#threshold) * elapsed;
    this.#threshold = Math.min(MAX_THRESHOLD, Math.max(MIN_THRESHOLD, next));
  }
}
