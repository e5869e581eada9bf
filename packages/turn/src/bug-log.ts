import { type Clock, describeError, type Logger, TokenBucket } from '@orama/core';

/** Bugs written a second; the rest is counted and told with the next one. */
const RATE = { burst: 20, perSec: 1 };

/** Takes errors of our own that a packet brought out: each costs that packet, and no sender can flood the log with it. */
export class BugLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  #unwritten = 0;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
    this.#bucket = new TokenBucket(RATE, clock.monotonic());
  }

  report(thrown: unknown): void {
    if (!this.#bucket.take(this.#clock.monotonic())) {
      this.#unwritten++;
      return;
    }
    this.#logger.error(
      { err: thrown, reason: describeError(thrown), unwritten: this.#unwritten },
      'a packet could not be handled',
    );
    this.#unwritten = 0;
  }
}
