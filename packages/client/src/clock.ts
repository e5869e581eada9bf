/** A timer that can be called off. */
export interface Timer {
  cancel(): void;
}

/** Time as a value, so that tests bring their own. */
export interface Clock {
  /** Milliseconds that only ever rise. */
  monotonic(): number;
  /** Calls `run` once after `ms`. */
  after(ms: number, run: () => void): Timer;
  /** Calls `run` every `ms` until cancelled. */
  every(ms: number, run: () => void): Timer;
}

/** The clock of the browser or of Node. */
export const systemClock: Clock = {
  monotonic: () => performance.now(),
  after(ms, run) {
    const handle = setTimeout(run, ms);
    return { cancel: () => clearTimeout(handle) };
  },
  every(ms, run) {
    const handle = setInterval(run, ms);
    return { cancel: () => clearInterval(handle) };
  },
};
