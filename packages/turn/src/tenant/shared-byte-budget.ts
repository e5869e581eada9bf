import { BURST_MIN_BYTES } from '../relay/byte-rate.ts';
import type { ByteBudget } from '../relay/relay.ts';

/** What an Int32 holds without fear of overflow. */
const BURST_MAX_BYTES = 2 ** 30;
const TOKENS = 0;
/** Microseconds of the time up to which tokens have been given, turning over every 71 minutes. */
const GIVEN_UNTIL = 1;
/** Tokens are given at most so often. */
const REFILL_US = 10_000;
/** Workers may be so much apart in what time it is. */
const SKEW_US = 1_000_000;
/** Half of what an Int32 turns over in: no longer time can be told. */
const LONG_US = 2 ** 31 - 1;

/** What the workers share of a budget; it can be sent to a thread. */
export type ByteBudgetMemory = Int32Array<SharedArrayBuffer>;

/** Memory of a budget that nobody has used yet; `nowMs` as `take` is told it. */
export function byteBudgetMemory(bytesPerSec: number, nowMs: number): ByteBudgetMemory {
  const memory = new Int32Array(new SharedArrayBuffer(8));
  memory[TOKENS] = burstOf(bytesPerSec);
  memory[GIVEN_UNTIL] = microseconds(nowMs);
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
  /** How long an empty bucket takes to be full. */
  readonly #fillUs: number;

  constructor(bytesPerSec: number, memory: ByteBudgetMemory) {
    this.#memory = memory;
    this.#bytesPerSec = bytesPerSec;
    this.#burst = burstOf(bytesPerSec);
    this.#fillUs = Math.min(LONG_US, Math.ceil((this.#burst / bytesPerSec) * 1_000_000));
  }

  take(bytes: number, nowMs: number): boolean {
    this.#refill(microseconds(nowMs));
    if (Atomics.sub(this.#memory, TOKENS, bytes) >= bytes) return true;
    Atomics.add(this.#memory, TOKENS, bytes);
    return false;
  }

  /** Gives the tokens of the time since the last time, unless that is too short or another worker does it. */
  #refill(now: number): void {
    const memory = this.#memory;
    const until = Atomics.load(memory, GIVEN_UNTIL);
    let elapsedUs = (now - until) | 0;
    if (elapsedUs < REFILL_US && elapsedUs > -SKEW_US) return;
    // Nobody has asked for so long that the difference has turned over.
    if (elapsedUs < 0) elapsedUs = LONG_US;
    // No more than the bucket holds: beyond 31 bits the compiled packet path would be thrown away and compiled anew.
    const earned = elapsedUs >= this.#fillUs ? this.#burst : Math.floor((elapsedUs / 1_000_000) * this.#bytesPerSec);
    const room = this.#burst - Atomics.load(memory, TOKENS);
    const enough = earned >= room;
    const next = enough ? now : (until + Math.ceil((earned / this.#bytesPerSec) * 1_000_000)) | 0;
    if (earned < 1 || Atomics.compareExchange(memory, GIVEN_UNTIL, until, next) !== until) return;
    Atomics.add(memory, TOKENS, enough ? room : earned);
  }
}

function microseconds(ms: number): number {
  return Math.trunc(ms * 1000) | 0;
}

function burstOf(bytesPerSec: number): number {
  return Math.min(BURST_MAX_BYTES, Math.max(bytesPerSec, BURST_MIN_BYTES));
}
