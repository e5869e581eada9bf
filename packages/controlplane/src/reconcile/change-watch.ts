import type { Clock, Timer } from '@orama/core';
import { type Database, readChangeCounter } from '@orama/store';
import type { StoreWarnings } from './store-warnings.ts';

const POLL_MS = 250;

/** Notices that any node changed what is desired or observed, by the store's change counter. */
export class ChangeWatch {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #warnings: StoreWarnings;
  readonly #onChange: () => void;
  #timer: Timer | undefined;
  #seen: number | null = null;
  #reading: Promise<void> | null = null;

  constructor(db: Database, clock: Clock, warnings: StoreWarnings, onChange: () => void) {
    this.#db = db;
    this.#clock = clock;
    this.#warnings = warnings;
    this.#onChange = onChange;
  }

  start(): void {
    this.#timer = this.#clock.every(POLL_MS, () => {
      this.#reading ??= this.#look().finally(() => {
        this.#reading = null;
      });
    });
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#reading;
  }

  async #look(): Promise<void> {
    try {
      const value = await readChangeCounter(this.#db);
      this.#warnings.reached();
      if (value === this.#seen) return;
      this.#seen = value;
      this.#onChange();
    } catch (thrown) {
      this.#warnings.unreachable(thrown);
    }
  }
}
