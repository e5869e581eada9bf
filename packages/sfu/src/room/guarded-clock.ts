import type { Clock } from '@orama/core';
import { guard } from '../rtc/guard.ts';

/** A clock whose timers cannot end the process: whatever one throws is told to `onFault`. */
export function guardedClock(clock: Clock, onFault: (thrown: unknown) => void): Clock {
  const guarded = (run: () => void) => guard(() => false, onFault, run);
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (ms, run) => clock.after(ms, guarded(run)),
    every: (ms, run) => clock.every(ms, guarded(run)),
  };
}
