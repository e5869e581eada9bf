/** What a watcher knows of a value. */
export interface Still {
  /** For how long the value certainly stood still, in milliseconds of the watcher's monotonic clock. */
  forMs: number;
  /** Whether it was ever seen to move. One that never was may belong to somebody who is not up yet. */
  moved: boolean;
}

interface Seen {
  value: unknown;
  sinceMs: number;
  moved: boolean;
}

/**
 * Watches values that others move, such as counters in the store, and measures with its own clock how long each has
 * stood still. A watch that was interrupted begins anew: while the store could not be reached, nobody could move
 * anything.
 */
export class Stillness {
  readonly #maxGapMs: number;
  #seen: Map<string, Seen> | null = null;
  #answeredAtMs = 0;

  /** @param maxGapMs looks that are further apart are no watching */
  constructor(maxGapMs = Number.POSITIVE_INFINITY) {
    this.#maxGapMs = maxGapMs;
  }

  /**
   * Takes a look at all values; keys that are not among them are forgotten.
   * @param askedAtMs when they were asked for, and `answeredAtMs` when they were there, by the monotonic clock: what is
   * seen has been so from some moment between the two
   */
  look<K extends string>(values: ReadonlyMap<K, unknown>, askedAtMs: number, answeredAtMs: number): Map<K, Still> {
    const before = this.#seen;
    const interrupted = answeredAtMs - this.#answeredAtMs > this.#maxGapMs;
    this.#answeredAtMs = answeredAtMs;
    this.#seen = new Map(
      [...values].map(([key, value]) => {
        const known = before?.get(key);
        if (!known || known.value !== value) return [key, { value, sinceMs: answeredAtMs, moved: before !== null }];
        return [key, interrupted ? { ...known, sinceMs: answeredAtMs } : known];
      }),
    );
    return new Map(
      [...this.#seen].map(([key, { sinceMs, moved }]) => [
        key as K,
        { forMs: Math.max(0, askedAtMs - sinceMs), moved },
      ]),
    );
  }
}
