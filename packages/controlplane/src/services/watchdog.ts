import type { Clock, Timer } from '@orama/core';
import { callHttp } from '../http-call.ts';
import type { HealthAddress } from './service-manager.ts';

/** A unit that hangs is told after so many looks without an answer, 8 s. */
const UNANSWERED_MAX = 4;
/** How long a unit may take for its first answer, in looks. */
const FIRST_ANSWER_LOOKS = 15;
/** A watch that comes later than that has been held up itself, as the units may have been: it begins anew. */
const LATE_LOOKS = 2.5;

/** A unit to look after. */
export interface Watched {
  unit: string;
  health?: HealthAddress | undefined;
}

interface Seen {
  hasAnswered: boolean;
  unanswered: number;
  isAsking: boolean;
}

/** Asks every unit for its `/healthz` again and again. Whatever it answers, it does not hang. */
export class Watchdog<U extends Watched> {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #units: () => readonly U[];
  readonly #onHang: (unit: U) => void;
  readonly #seen = new WeakMap<U, Seen>();
  readonly #timer: Timer;
  #lookedAtMs: number;

  /**
   * @param everyMs from one look to the next; an answer has to come within that time
   * @param units those to look after, the same object for as long as it is the same process
   * @param onHang told of a unit that answered before, or had the time to, and does not any more
   */
  constructor(clock: Clock, everyMs: number, units: () => readonly U[], onHang: (unit: U) => void) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#units = units;
    this.#onHang = onHang;
    this.#lookedAtMs = clock.monotonic();
    this.#timer = clock.every(everyMs, () => this.#look());
  }

  close(): void {
    this.#timer.cancel();
  }

  #look(): void {
    const now = this.#clock.monotonic();
    const isLate = now - this.#lookedAtMs > LATE_LOOKS * this.#everyMs;
    this.#lookedAtMs = now;
    for (const unit of this.#units()) {
      if (!unit.health) continue;
      const seen = this.#seen.get(unit) ?? { hasAnswered: false, unanswered: 0, isAsking: false };
      this.#seen.set(unit, seen);
      if (isLate) seen.unanswered = 0;
      if (!seen.isAsking) void this.#ask(unit, unit.health, seen);
    }
  }

  async #ask(unit: U, health: HealthAddress, seen: Seen): Promise<void> {
    seen.isAsking = true;
    try {
      await callHttp(health, 'GET', '/healthz', { timeoutMs: this.#everyMs });
      seen.hasAnswered = true;
      seen.unanswered = 0;
    } catch {
      seen.unanswered += 1;
      if (seen.unanswered === (seen.hasAnswered ? UNANSWERED_MAX : FIRST_ANSWER_LOOKS)) this.#onHang(unit);
    } finally {
      seen.isAsking = false;
    }
  }
}
