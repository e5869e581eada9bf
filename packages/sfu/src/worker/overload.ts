import type { EventLoopLoad } from '@orama/core';

/** An event loop this late, or this busy, holds every packet up: quality is about to fall. */
const LATE_SEC = 0.05;
const BUSY_UTILIZATION = 0.9;
/** Well below that again. */
const ON_TIME_SEC = 0.02;
const EASY_UTILIZATION = 0.75;
/** Windows in a row that it takes: a single late one is a garbage collection or a join of many. */
const WINDOWS_UNTIL_BUSY = 3;
const WINDOWS_UNTIL_EASY = 5;

/** Says from the load of an event loop, window by window, whether more peers may come. */
export class OverloadGuard {
  #busy = false;
  #windows = 0;

  get isBusy(): boolean {
    return this.#busy;
  }

  /** Notes the load of one more window (of a second or so). */
  note({ delayP99Sec, utilization }: EventLoopLoad): void {
    const speaksAgainst = this.#busy
      ? delayP99Sec < ON_TIME_SEC && utilization < EASY_UTILIZATION
      : delayP99Sec > LATE_SEC || utilization > BUSY_UTILIZATION;
    this.#windows = speaksAgainst ? this.#windows + 1 : 0;
    if (this.#windows < (this.#busy ? WINDOWS_UNTIL_EASY : WINDOWS_UNTIL_BUSY)) return;
    this.#busy = !this.#busy;
    this.#windows = 0;
  }
}
