import type { Clock } from '@orama/core';

/** libdatachannel gives a port back a moment after close. */
const RELEASE_MS = 2_000;

/**
 * Counts media ports: every connection binds one, and libdatachannel ends the process when its range is used up.
 * So the last few are never given out. One is the StunFront's.
 */
export class PortBudget {
  /** Ports for peers. */
  readonly capacity: number;
  /** The same with those that only links get: who finds no port here is served by another SFU, which links itself here. */
  readonly #withLinks: number;
  readonly #clock: Clock;
  #used = 0;

  constructor(portStart: number, portEnd: number, clock: Clock) {
    const ports = portEnd - portStart + 1;
    const kept = Math.max(2, Math.ceil(ports / 20));
    this.capacity = Math.max(1, ports - 1 - kept);
    this.#withLinks = Math.max(this.capacity, ports - 1 - Math.ceil(kept / 2));
    this.#clock = clock;
  }

  get used(): number {
    return this.#used;
  }

  /** Whether peers find none any more. */
  get isFull(): boolean {
    return this.#used >= this.capacity;
  }

  /** Takes a port for a peer; null when none is left. Call the result once, after the connection was closed. */
  take(): (() => void) | null {
    return this.#take(this.capacity);
  }

  /** The same for a link to another SFU. */
  takeForLink(): (() => void) | null {
    return this.#take(this.#withLinks);
  }

  #take(most: number): (() => void) | null {
    if (this.#used >= most) return null;
    this.#used++;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#clock.after(RELEASE_MS, () => void this.#used--);
    };
  }
}
