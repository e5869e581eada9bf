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

  take(bytes: number, nowMs: number): boolean {
    // Not a number at first: then the bucket is full.
    if (nowMs > this.#atMs) {
      this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#atMs) / 1000) * this.bytesPerSec);
    }
    this.#atMs = nowMs;
    if (this.#tokens < bytes) return false;
    this.#tokens -= bytes;
    return true;
  }
}

/** Two limits at once, the second asked only when the first allows. */
export class BothBudgets implements ByteBudget {
  readonly #first: ByteBudget;
  readonly #second: ByteBudget;

  constructor(first: ByteBudget, second: ByteBudget) {
    this.#first = first;
    this.#second = second;
  }

  take(bytes: number, nowMs: number): boolean {
    return this.#first.take(bytes, nowMs) && this.#second.take(bytes, nowMs);
  }
}
