import { type Clock, describeError, type Logger } from '@orama/core';

const WARN_EVERY_MS = 60_000;

/** One warning per minute while the store cannot be reached, however many tasks notice it, and one line when it is back. */
export class StoreWarnings {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #warnedAtMs: number | null = null;
  #since: number | null = null;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  unreachable(thrown: unknown): void {
    const now = this.#clock.monotonic();
    this.#since ??= now;
    if (this.#warnedAtMs !== null && now - this.#warnedAtMs < WARN_EVERY_MS) return;
    this.#warnedAtMs = now;
    this.#logger.warn(
      { reason: describeError(thrown) },
      'the store cannot be reached; nothing is changed until it can',
    );
  }

  reached(): void {
    if (this.#since === null) return;
    this.#logger.info({ durMs: this.#clock.monotonic() - this.#since }, 'the store can be reached again');
    this.#since = null;
    this.#warnedAtMs = null;
  }
}
