import type { ByteBudget } from './relay.ts';

/** A second's worth may go at once, and never less than so much: one burst of a key frame. */
export const BURST_MIN_BYTES = 64 * 1024;

/** Places in a bucket. */
const TOKENS = 0;
const AT_MS = 1;

/** A byte rate of one process: a token bucket. */
export class ByteRate implements ByteBudget {
  readonly bytesPerSec: number;
  readonly #burst: number;
  /** In a typed array, because a fraction in a field would be an object, and garbage, each time it changes. */
  readonly #bucket = new Float64Array(2);

  constructor(bytesPerSec: number) {
    this.bytesPerSec = bytesPerSec;
    this.#burst = Math.max(bytesPerSec, BURST_MIN_BYTES);
    this.#bucket[TOKENS] = this.#burst;
    this.#bucket[AT_MS] = Number.NaN;
  }

  /** Whether `take` would allow so much now. */
  has(bytes: number, nowMs: number): boolean {
    const bucket = this.#bucket;
    const atMs = bucket[AT_MS] as number;
    const tokens = bucket[TOKENS] as number;
    bucket[AT_MS] = nowMs;
    // Not a number at first: then the bucket is full.
    if (!(nowMs > atMs)) return tokens >= bytes;
    const refilled = Math.min(this.#burst, tokens + ((nowMs - atMs) / 1000) * this.bytesPerSec);
    bucket[TOKENS] = refilled;
    return refilled >= bytes;
  }

  take(bytes: number, nowMs: number): boolean {
    if (!this.has(bytes, nowMs)) return false;
    this.#bucket[TOKENS] = (this.#bucket[TOKENS] as number) - bytes;
    return true;
  }
}

/** A rate of its own below a limit that is shared with others: what either refuses costs neither of them. */
export class BothBudgets implements ByteBudget {
  readonly #own: ByteRate;
  readonly #shared: ByteBudget;

  constructor(own: ByteRate, shared: ByteBudget) {
    this.#own = own;
    this.#shared = shared;
  }

  take(bytes: number, nowMs: number): boolean {
    return this.#own.has(bytes, nowMs) && this.#shared.take(bytes, nowMs) && this.#own.take(bytes, nowMs);
  }
}
