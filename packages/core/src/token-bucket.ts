/** A token bucket: `burst` at once, refilled with `perSec`. Takes the time as a value. */
export class TokenBucket {
  #tokens: number;
  #atMs: number;
  readonly #burst: number;
  readonly #perSec: number;

  /** @param nowMs a time that only rises (`Clock.monotonic`) */
  constructor(rate: { burst: number; perSec: number }, nowMs: number) {
    this.#burst = rate.burst;
    this.#perSec = rate.perSec;
    this.#tokens = rate.burst;
    this.#atMs = nowMs;
  }

  /** Takes one token (or `count`); false when there are not enough, and then none is taken. */
  take(nowMs: number, count = 1): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#atMs) / 1000) * this.#perSec);
    this.#atMs = nowMs;
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** Whether the bucket would be full at `nowMs`, so that a table of buckets can forget it. */
  isFull(nowMs: number): boolean {
    return this.#tokens + ((nowMs - this.#atMs) / 1000) * this.#perSec >= this.#burst;
  }
}

const SWEEP_GAP_MS = 1_000;

/** Token buckets by key (a source address, a credential), forgotten once full; never more than `maxKeys`. */
export class KeyedTokenBuckets {
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #rate: { burst: number; perSec: number };
  readonly #maxKeys: number;
  #sweptAtMs = Number.NEGATIVE_INFINITY;

  constructor(rate: { burst: number; perSec: number }, maxKeys = 100_000) {
    this.#rate = rate;
    this.#maxKeys = maxKeys;
  }

  /** Takes a token of `key`; false when it has none left, or when the table is full of active keys. */
  take(key: string, nowMs: number): boolean {
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      // At most once a second: a flood of forged keys must not make every miss walk the table.
      if (this.#buckets.size >= this.#maxKeys && nowMs - this.#sweptAtMs >= SWEEP_GAP_MS) this.sweep(nowMs);
      if (this.#buckets.size >= this.#maxKeys) return false;
      bucket = new TokenBucket(this.#rate, nowMs);
      this.#buckets.set(key, bucket);
    }
    return bucket.take(nowMs);
  }

  /** Forgets every key whose bucket is full again. */
  sweep(nowMs: number): void {
    this.#sweptAtMs = nowMs;
    for (const [key, bucket] of this.#buckets) if (bucket.isFull(nowMs)) this.#buckets.delete(key);
  }

  get size(): number {
    return this.#buckets.size;
  }
}
