import { backoffMs, type Clock } from '@orama/core';
import type { ServiceExit, ServiceState } from './service-manager.ts';

/** A unit that ran this long is sound: its next crash counts as the first. */
const SOUND_AFTER_MS = 30_000;
const BASE_MS = 250;
const MAX_MS = 30_000;

interface Crashes {
  count: number;
  /** By the monotonic clock: no jump of the time keeps a unit down. */
  startableAtMs: number;
  how: string;
}

/** When units may be started again: at once after a first crash, then slower and slower while they keep crashing. */
export class CrashBackoff {
  readonly #clock: Clock;
  readonly #crashes = new Map<string, Crashes>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes note of the end of a unit. */
  note(exit: ServiceExit): void {
    if (exit.wanted) {
      this.#crashes.delete(exit.unit);
      return;
    }
    const count = exit.uptimeMs >= SOUND_AFTER_MS ? 1 : (this.#crashes.get(exit.unit)?.count ?? 0) + 1;
    const delayMs = count === 1 ? 0 : backoffMs(count - 2, BASE_MS, MAX_MS);
    this.#crashes.set(exit.unit, { count, startableAtMs: this.#clock.monotonic() + delayMs, how: exit.how });
  }

  /** A start that failed before there was a process counts like a crash. */
  noteFailedStart(unit: string, how: string): void {
    this.note({ unit, uptimeMs: 0, wanted: false, how });
  }

  /** Milliseconds until a unit may be started; 0 for at once. */
  waitMs(unit: string): number {
    const crashes = this.#crashes.get(unit);
    return crashes ? Math.max(0, crashes.startableAtMs - this.#clock.monotonic()) : 0;
  }

  /** Why a unit that should run does not, in words; null when it never crashed. */
  reason(unit: string): string | null {
    const crashes = this.#crashes.get(unit);
    if (!crashes) return null;
    const waitMs = this.waitMs(unit);
    const next = waitMs > 0 ? `, started again in ${Math.ceil(waitMs / 1000)} s` : '';
    return `ended ${crashes.count === 1 ? 'once' : `${crashes.count} times in a row`}, last with ${crashes.how}${next}`;
  }
}

const STARTING_MS = 15_000;
const STARTING_RECHECK_MS = 100;

/**
 * When to look again at a unit that is not healthy: often while it starts, at the time it may be started again while it
 * is down, and at the usual pace (null) otherwise.
 */
export function recheckMs(
  unit: string,
  state: ServiceState | undefined,
  backoff: CrashBackoff,
  nowMs: number,
): number | null {
  if (!state) return Math.max(STARTING_RECHECK_MS, backoff.waitMs(unit));
  // A time that jumped tells nothing of its age.
  return Math.abs(nowMs - state.startedAtMs) < STARTING_MS ? STARTING_RECHECK_MS : null;
}
