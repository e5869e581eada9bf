/** Samples are taken at least so far apart; the rate is that between the newest and the oldest. */
const SAMPLE_MS = 250;
const SAMPLES = 5;

/** Bits per second over the last second. Counting is one addition; the rate is worked out when sampled. */
export class RateMeter {
  /** All bytes so far; add to it. */
  bytes = 0;
  /** As of the last sample. */
  bitsPerSecond = 0;
  readonly #bytes = new Float64Array(SAMPLES);
  readonly #times = new Float64Array(SAMPLES).fill(Number.NEGATIVE_INFINITY);
  #count = 0;

  /** Call it every 50 ms or so. */
  sample(nowMs: number): void {
    const last = (this.#count + SAMPLES - 1) % SAMPLES;
    if (nowMs - (this.#times[last] as number) < SAMPLE_MS) return;
    this.#times[this.#count % SAMPLES] = nowMs;
    this.#bytes[this.#count % SAMPLES] = this.bytes;
    this.#count++;
    const oldest = this.#count < SAMPLES ? 0 : this.#count % SAMPLES;
    const elapsedMs = nowMs - (this.#times[oldest] as number);
    this.bitsPerSecond = elapsedMs > 0 ? ((this.bytes - (this.#bytes[oldest] as number)) * 8_000) / elapsedMs : 0;
  }
}
