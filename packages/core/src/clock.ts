/** A timer that can be called off. */
export interface Timer {
  cancel(): void;
}

/** Time as a value, so that tests bring their own. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds that only ever rise; for durations. */
  monotonic(): number;
  /** Calls `run` once after `ms`. */
  after(ms: number, run: () => void): Timer;
  /** Calls `run` every `ms` until cancelled. */
  every(ms: number, run: () => void): Timer;
}

/** The machine's clock. Timers do not keep the process alive by themselves. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const handle = setTimeout(run, ms).unref();
    return { cancel: () => clearTimeout(handle) };
  },
  every(ms, run) {
    const handle = setInterval(run, ms).unref();
    return { cancel: () => clearInterval(handle) };
  },
};

interface Scheduled {
  at: number;
  order: number;
  everyMs: number | undefined;
  run: () => void;
}

/** A clock that moves only when told to; runs due timers in order. For tests. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #startMs: number;
  readonly #timers = new Set<Scheduled>();

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs - this.#startMs;
  }

  after(ms: number, run: () => void): Timer {
    return this.#schedule(ms, undefined, run);
  }

  every(ms: number, run: () => void): Timer {
    return this.#schedule(ms, ms, run);
  }

  /** Timers that are waiting. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time forward by `ms`, running every timer that falls due on the way, at its own time. */
  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (;;) {
      let next: Scheduled | undefined;
      for (const timer of this.#timers) {
        if (timer.at > end) continue;
        if (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
      }
      if (!next) break;
      this.#nowMs = Math.max(this.#nowMs, next.at);
      if (next.everyMs === undefined) this.#timers.delete(next);
      else next.at += Math.max(1, next.everyMs);
      next.run();
    }
    this.#nowMs = end;
  }

  #schedule(ms: number, everyMs: number | undefined, run: () => void): Timer {
    const timer: Scheduled = { at: this.#nowMs + Math.max(0, ms), order: this.#order++, everyMs, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }
}
