import type { ByteBudget } from '../relay/relay.ts';

/** A second's worth may go at once, and never less than so much: one burst of a key frame. */
const BURST_MIN_BYTES = 64 * 1024;
/** What an Int32 holds without fear of overflow. */
const BURST_MAX_BYTES = 2 ** 30;
const TOKENS = 0;
/** Microseconds of the time up to which tokens have been given, turning over every 71 minutes. */
const GIVEN_UNTIL = 1;
/** Workers may be so much apart in what time it is. */
const SKEW_US = 1_000_000;

/** What the workers share of a budget; it can be sent to a thread. */
export type ByteBudgetMemory = Int32Array<SharedArrayBuffer>;

/** Memory of a budget that nobody has used yet. */
export function byteBudgetMemory(bytesPerSec: number): ByteBudgetMemory {
  const memory = new Int32Array(new SharedArrayBuffer(8));
  memory[TOKENS] = burstOf(bytesPerSec);
  return memory;
}

/**
 * A token bucket that all workers of a node take from, without locks and without messages. Their clocks must have the
 * same beginning, as `performance.now` has for the threads of a process.
 */
export class SharedByteBudget implements ByteBudget {
  readonly #memory: ByteBudgetMemory;
  readonly #bytesPerSec: number;
  readonly #burst: number;

  constructor(bytesPerSec: number, memory: ByteBudgetMemory) {
    this.#memory = memory;
    this.#bytesPerSec = bytesPerSec;
    this.#burst = burstOf(bytesPerSec);
  }

  take(bytes: number, nowMs: number): boolean {
    return this.#takeTokens(bytes) || (this.#refill(nowMs) && this.#takeTokens(bytes));
  }

  #takeTokens(bytes: number): boolean {
    if (Atomics.sub(this.#memory, TOKENS, bytes) >= bytes) return true;
    Atomics.add(this.#memory, TOKENS, bytes);
    return false;
  }

  /** Gives the tokens of the time since the last time; false when there are none, or another worker does it. */
  #refill(nowMs: number): boolean {
    const memory = this.#memory;
    const until = Atomics.load(memory, GIVEN_UNTIL);
    const now = Math.trunc(nowMs * 1000) | 0;
    let elapsedUs = (now - until) | 0;
    if (elapsedUs < 0 && elapsedUs > -SKEW_US) return false;
    if (elapsedUs < 0) elapsedUs = 2 ** 31;
    const earned = Math.floor((elapsedUs / 1_000_000) * this.#bytesPerSec);
    if (earned < 1) return false;
    const room = this.#burst - Math.max(0, Atomics.load(memory, TOKENS));
    const spentUs = earned < room ? Math.ceil((earned / this.#bytesPerSec) * 1_000_000) : elapsedUs;
    if (Atomics.compareExchange(memory, GIVEN_UNTIL, until, (until + spentUs) | 0) !== until) return false;
    Atomics.add(memory, TOKENS, Math.min(earned, room));
    return true;
  }
}

function burstOf(bytesPerSec: number): number {
  return Math.min(BURST_MAX_BYTES, Math.max(bytesPerSec, BURST_MIN_BYTES));
}
