const BUCKETS = 20;

/** Bits a second over a sliding window, by times that rise (a little disorder is fine). Allocates nothing after construction. */
export class RateMeter {
  readonly #bytes = new Float64Array(BUCKETS);
  readonly #bucketMs: number;
  /** Number of the newest bucket, time divided by its length; -1 before the first byte. */
  #newest = -1;
  #first = -1;
  #sum = 0;

  /** @param windowMs what is measured over */
  constructor(windowMs = 500) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  add(bytes: number, timeMs: number): void {
    const bucket = Math.floor(timeMs / this.#bucketMs);
    this.#advance(bucket);
    if (bucket <= this.#newest - BUCKETS) return;
    this.#bytes[bucket % BUCKETS] = (this.#bytes[bucket % BUCKETS] as number) + bytes;
    this.#sum += bytes;
  }

  /**
   * The rate in the window that ends at `timeMs` (which may not go back): the full window, or as much of it as there
   * is; null while that is less than a third.
   */
  bitrateBps(timeMs: number): number | null {
    if (this.#newest < 0) return null;
    this.#advance(Math.floor(timeMs / this.#bucketMs));
    const buckets = Math.min(BUCKETS, this.#newest - this.#first + 1);
    return buckets < BUCKETS / 3 ? null : (this.#sum * 8_000) / (buckets * this.#bucketMs);
  }

  /** The time of the newest bucket's end; what was measured up to now. */
  get newestMs(): number {
    return (this.#newest + 1) * this.#bucketMs - 1e-6;
  }

  /** Forgets everything, as for a clock that jumped. */
  reset(): void {
    this.#bytes.fill(0);
    this.#newest = this.#first = -1;
    this.#sum = 0;
  }

  #advance(bucket: number): void {
    if (this.#newest < 0) this.#newest = this.#first = bucket;
    if (bucket <= this.#newest) return;
    if (bucket - this.#newest >= BUCKETS) {
      this.#bytes.fill(0);
      this.#sum = 0;
    } else {
      for (let i = this.#newest + 1; i <= bucket; i++) {
        this.#sum -= this.#bytes[i % BUCKETS] as number;
        this.#bytes[i % BUCKETS] = 0;
      }
    }
    this.#newest = bucket;
  }
}
