import { type Clock, describeError, type Logger } from '@orama/core';
import { LogRate } from './log-rate.ts';

/** Bugs written a second. */
const RATE = { burst: 20, perSec: 1 };

/** Takes errors of our own that a packet brought out: each costs that packet, and no sender can flood the log with it. */
export class BugLog {
  readonly #logger: Logger;
  readonly #rate: LogRate;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#rate = new LogRate(RATE, clock);
  }

  report(thrown: unknown): void {
    const unwritten = this.#rate.take();
    if (unwritten === undefined) return;
    this.#logger.error({ err: thrown, reason: describeError(thrown), unwritten }, 'a packet could not be handled');
  }
}
