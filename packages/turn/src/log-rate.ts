import { type Clock, TokenBucket } from '@orama/core';

/** A rate for log lines that strangers can cause: what is above it is counted and told with the next line. */
export class LogRate {
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  #unwritten = 0;

  constructor(rate: { burst: number; perSec: number }, clock: Clock) {
    this.#clock = clock;
    this.#bucket = new TokenBucket(rate, clock.monotonic());
  }

  /** Asks for one line: how many went unwritten since the last one, or undefined when this one does too. */
  take(): number | undefined {
    if (!this.#bucket.take(this.#clock.monotonic())) {
      this.#unwritten++;
      return undefined;
    }
    const unwritten = this.#unwritten;
    this.#unwritten = 0;
    return unwritten;
  }
}
