import type { ByteBudget } from './relay.ts';

/** A second's worth may go at once, and never less than so much: one burst of a key frame. */
export const BURST_MIN_BYTES = 64 * 1024;

/** A byte rate of one process: a token bucket in plain numbers. */
export class ByteRate implements ByteBudget {
  readonly bytesPerSec: number;
  readonly #burst: number;
  #tokens: number;
  #atMs = Number.NaN;

  constructor(bytesPerSec: number) {
    this.bytesPerSec = bytesPerSec;
    this.#burst = Math.max(bytesPerSec, BURST_MIN_BYTES);
    this.#tokens = this.#burst;
  }

  /** Whether `take` would allow so much now. */
  has(bytes: number, nowMs: number): boolean {
    // Not a number at first: then the bucket is full.
    if (nowMs > this.#atMs) {
      this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#atMs) / 1000) * this.bytesPerSec);
    }
    this.#atMs = nowMs;
    return this.#tokens >= bytes;
  }

  take(bytes: number, nowMs: number): boolean {
    if (!this.has(bytes, nowMs)) return false;
    this.#tokens -= bytes;
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
