import type { Clock } from '@orama/core';

/** libdatachannel gives a port back a moment after close. */
const RELEASE_MS = 2_000;

/**
 * Counts media ports: every connection binds one, and libdatachannel ends the process when its range is used up.
 * So the last few are never given out. One is the StunFront's.
 */
export class PortBudget {
  readonly capacity: number;
  readonly #clock: Clock;
  #used = 0;

  constructor(portStart: number, portEnd: number, clock: Clock) {
    const ports = portEnd - portStart + 1;
    this.capacity = Math.max(1, ports - 1 - Math.max(2, Math.ceil(ports / 20)));
    this.#clock = clock;
  }

  get used(): number {
    return this.#used;
  }

  /** Takes a port; null when none is left. Call the result once, after the connection was closed. */
  take(): (() => void) | null {
    if (this.#used >= this.capacity) return null;
    this.#used++;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#clock.after(RELEASE_MS, () => void this.#used--);
    };
  }
}
