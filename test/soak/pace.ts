import { setImmediate, setTimeout } from 'node:timers/promises';
import { type Clock, systemClock, VirtualClock } from '@orama/core';

/** How the seconds of a run pass. */
export interface Pace {
  readonly clock: Clock;
  /** Ends a second that began when the last call returned. */
  nextSecond(): Promise<void>;
  /** Timers that the server has on this clock; undefined where the system counts them. */
  readonly pendingTimers: number | undefined;
}

/** A second is over as soon as everything in it has been done. */
export function virtualPace(): Pace {
  const clock = new VirtualClock();
  return {
    clock,
    nextSecond: async () => {
      // What was sent in this second is received in it.
      await setImmediate();
      clock.advance(1000);
    },
    get pendingTimers() {
      return clock.pending;
    },
  };
}

/** A second takes a second. */
export function realPace(): Pace {
  let endsAtMs = performance.now();
  return {
    clock: systemClock,
    nextSecond: async () => {
      endsAtMs = Math.max(endsAtMs + 1000, performance.now());
      await setTimeout(Math.max(0, endsAtMs - performance.now()));
    },
    pendingTimers: undefined,
  };
}
