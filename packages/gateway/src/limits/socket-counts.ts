/** Open sockets by source, with a cap on each. */
export class SocketCounts {
  readonly #counts = new Map<string, number>();
  readonly #max: number;

  constructor(maxPerSource: number) {
    this.#max = maxPerSource;
  }

  /** Counts one more socket of a source; false, and nothing counted, when it has its fill. */
  open(source: string): boolean {
    const count = this.#counts.get(source) ?? 0;
    if (count >= this.#max) return false;
    this.#counts.set(source, count + 1);
    return true;
  }

  close(source: string): void {
    const count = (this.#counts.get(source) ?? 0) - 1;
    if (count > 0) this.#counts.set(source, count);
    else this.#counts.delete(source);
  }
}
