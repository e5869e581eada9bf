import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';

const RESOLUTION_MS = 10;
const NS_PER_SEC = 1e9;

/** How late the event loop of a thread was and how busy, over a window. Seconds, and a share of one. */
export interface EventLoopLoad {
  readonly delayP50Sec: number;
  readonly delayP99Sec: number;
  readonly delayMaxSec: number;
  readonly utilization: number;
}

/** Measures the event loop it is made on, window by window, so that every reader sees the same numbers. */
export class EventLoopMeter {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #sleptMs: () => number;
  #since: EventLoopUtilization = performance.eventLoopUtilization();
  #sleptBeforeMs = 0;
  #window: EventLoopLoad | undefined;

  /** @param sleptMs how long this thread has slept so far outside of the event loop, which takes that for work */
  constructor(sleptMs: () => number) {
    this.#sleptMs = sleptMs;
    this.#delay.enable();
  }

  /** The last whole window, or the first one so far. */
  get load(): EventLoopLoad {
    return this.#window ?? this.#measure();
  }

  /** Ends a window and begins the next. */
  turn(): void {
    this.#window = this.#measure();
    this.#delay.reset();
    this.#since = performance.eventLoopUtilization();
    this.#sleptBeforeMs = this.#sleptMs();
  }

  close(): void {
    this.#delay.disable();
  }

  #measure(): EventLoopLoad {
    // The histogram measures whole intervals of its own timer; what is above the resolution is delay.
    const late = (ns: number) => Math.max(0, ns / NS_PER_SEC - RESOLUTION_MS / 1000);
    const { active, idle } = performance.eventLoopUtilization(this.#since);
    const worked = Math.max(0, active - (this.#sleptMs() - this.#sleptBeforeMs));
    return {
      delayP50Sec: late(this.#delay.percentile(50)),
      delayP99Sec: late(this.#delay.percentile(99)),
      delayMaxSec: this.#delay.count === 0 ? 0 : late(this.#delay.max),
      utilization: active + idle > 0 ? worked / (active + idle) : 0,
    };
  }
}
