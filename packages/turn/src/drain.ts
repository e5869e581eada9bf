import type { Clock, Logger, Timer } from '@orama/core';

/** How often it says how many are left. */
const LOG_MS = 5_000;

/** The end of a server that still has allocations: it waits for the last one, or for a deadline. */
export class Drain {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #left: () => number;
  readonly #over = Promise.withResolvers<void>();
  #endsAtMs: number | undefined;
  #deadline: Timer | undefined;
  #progress: Timer | undefined;

  /** @param left allocations that still live */
  constructor(options: { clock: Clock; logger: Logger; left: () => number }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#left = options.left;
  }

  get begun(): boolean {
    return this.#endsAtMs !== undefined;
  }

  /** Unix milliseconds at which it ends at the latest, once it has begun. */
  get endsAtMs(): number | undefined {
    return this.#endsAtMs;
  }

  /** What there is to say while it lasts. */
  get progress(): string {
    const leftSec = Math.max(0, Math.ceil(((this.#endsAtMs ?? 0) - this.#clock.now()) / 1000));
    return `draining: ${this.#left()} allocations left, at most ${leftSec} s`;
  }

  /** Begins; begun already, it ends at the nearer of the two deadlines. Resolves when it is over. */
  begin(deadlineMs: number): Promise<void> {
    const endsAtMs = this.#clock.now() + deadlineMs;
    if (this.#endsAtMs !== undefined && this.#endsAtMs <= endsAtMs) return this.#over.promise;
    this.#progress ??= this.#clock.every(LOG_MS, () => this.#log());
    this.#deadline?.cancel();
    this.#deadline = this.#clock.after(deadlineMs, () => this.#end());
    this.#endsAtMs = endsAtMs;
    this.#log();
    this.check();
    return this.#over.promise;
  }

  /** Ends it when nothing is left; called whenever an allocation has ended. */
  check(): void {
    if (this.begun && this.#left() === 0) this.#end();
  }

  #end(): void {
    this.#deadline?.cancel();
    this.#progress?.cancel();
    this.#over.resolve();
  }

  #log(): void {
    this.#logger.info({ allocations: this.#left(), endsAt: this.#endsAtMs }, 'draining');
  }
}
