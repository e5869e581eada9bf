import { randomInt } from 'node:crypto';

const NONE: ReadonlySet<number> = new Set();

/**
 * The relay ports of one tenant's block: which are taken, which are free. Starts looking at a random port, so that
 * relay addresses cannot be guessed.
 */
export class RelayPorts {
  #start: number;
  #end: number;
  readonly #taken = new Set<number>();
  readonly #random: (below: number) => number;

  constructor(start: number, end: number, random: (below: number) => number = randomInt) {
    this.#start = start;
    this.#end = end;
    this.#random = random;
  }

  /** Ports of the block that are taken, ports outside of it from an earlier block included. */
  get takenCount(): number {
    return this.#taken.size;
  }

  /** Moves the block. Ports taken stay taken, also outside the new block, until they are released. */
  setBlock(start: number, end: number): void {
    this.#start = start;
    this.#end = end;
  }

  contains(port: number): boolean {
    return port >= this.#start && port <= this.#end;
  }

  /** Takes a free port that is none of `except`; undefined when there is none. */
  take(except = NONE): number | undefined {
    return this.#find(this.#start, 1, except, (port) => this.#isFree(port));
  }

  /** Takes a free even port (EVEN-PORT with R = 0). */
  takeEven(except = NONE): number | undefined {
    return this.#find(this.#start + (this.#start & 1), 2, except, (port) => this.#isFree(port));
  }

  /** Takes an even port and the one above it (EVEN-PORT with R = 1); returns the even one. */
  takePair(except = NONE): number | undefined {
    const first = this.#start + (this.#start & 1);
    const even = this.#find(first, 2, except, (port) => this.#isFree(port) && this.#isFree(port + 1));
    if (even !== undefined) this.#taken.add(even + 1);
    return even;
  }

  /** Gives a port back. */
  release(port: number): void {
    this.#taken.delete(port);
  }

  #isFree(port: number): boolean {
    return port <= this.#end && !this.#taken.has(port);
  }

  #find(first: number, step: number, except: ReadonlySet<number>, fits: (port: number) => boolean): number | undefined {
    const count = Math.floor((this.#end - first) / step) + 1;
    if (count <= 0) return undefined;
    const offset = this.#random(count);
    for (let i = 0; i < count; i++) {
      const port = first + ((offset + i) % count) * step;
      if (except.has(port) || !fits(port)) continue;
      this.#taken.add(port);
      return port;
    }
    return undefined;
  }
}
