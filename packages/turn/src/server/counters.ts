/** Counts by a label whose values are few and ours. */
class LabelledCounter {
  readonly #counts = new Map<string, number>();

  add(label: string, count = 1): void {
    this.#counts.set(label, (this.#counts.get(label) ?? 0) + count);
  }

  get(label: string): number {
    return this.#counts.get(label) ?? 0;
  }

  entries(): IterableIterator<[string, number]> {
    return this.#counts.entries();
  }
}

/** What the server has done so far, for metrics. */
export class ServerCounters {
  /** Replies by `<method> <code>`, 200 for success. */
  readonly replies = new LabelledCounter();
  readonly authFailures = new LabelledCounter();
  /** Allocations ended, by reason. */
  readonly ended = new LabelledCounter();
  allocationsOpened = 0;
}
