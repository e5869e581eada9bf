import { sourceKey } from '@orama/core';

/** How many stream connections there may be: in all, and from one source (an IPv4 address or an IPv6 /64). */
export class ConnectionLimits {
  readonly #max: number;
  readonly #maxPerSource: number;
  readonly #perSource = new Map<string, number>();
  #count = 0;

  constructor(max: number, maxPerSource: number) {
    this.#max = max;
    this.#maxPerSource = maxPerSource;
  }

  /** Counts a connection from an address; false, and nothing counted, when there are too many. */
  take(address: string): boolean {
    const source = sourceKey(address);
    const own = this.#perSource.get(source) ?? 0;
    if (this.#count >= this.#max || own >= this.#maxPerSource) return false;
    this.#perSource.set(source, own + 1);
    this.#count++;
    return true;
  }

  /** Gives back what `take` counted. */
  release(address: string): void {
    const source = sourceKey(address);
    const own = this.#perSource.get(source) ?? 1;
    if (own <= 1) this.#perSource.delete(source);
    else this.#perSource.set(source, own - 1);
    this.#count--;
  }
}
