import { type EventLoopUtilization, type Histogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';

const RESOLUTION_MS = 10;
const NS_PER_SEC = 1e9;

/** How late the event loop of a thread was and how busy, over a window. Seconds, and a share of one. */
export interface EventLoopLoad {
  readonly delayP50Sec: number;
  readonly delayP99Sec: number;
  readonly delayMaxSec: number;
  readonly utilization: number;
}

/** What Node tells of the event loop of this thread. */
export interface EventLoopGauges {
  /** Nanoseconds between two runs of a timer that is set to `RESOLUTION_MS`. */
  readonly delay: Histogram & { enable(): unknown; disable(): unknown };
  /** Milliseconds of work and of waiting so far, or since an earlier answer. */
  readonly utilization: (since?: EventLoopUtilization) => EventLoopUtilization;
}

/** Measures the event loop it is made on, window by window, so that every reader sees the same numbers. */
export class EventLoopMeter {
  readonly #delay: EventLoopGauges['delay'];
  readonly #utilization: EventLoopGauges['utilization'];
  readonly #sleptMs: () => number;
  #since: EventLoopUtilization;
  #sleptBeforeMs = 0;
  #window: EventLoopLoad | undefined;

  /** @param sleptMs how long this thread has slept so far outside of the event loop, which takes that for work */
  constructor(sleptMs: () => number = () => 0, gauges: EventLoopGauges = ownGauges()) {
    this.#sleptMs = sleptMs;
    this.#delay = gauges.delay;
    this.#utilization = gauges.utilization;
    this.#since = gauges.utilization();
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
    this.#since = this.#utilization();
    this.#sleptBeforeMs = this.#sleptMs();
  }

  close(): void {
    this.#delay.disable();
  }

  #measure(): EventLoopLoad {
    // The histogram measures whole intervals of its own timer; what is above the resolution is delay.
    const late = (ns: number) => Math.max(0, ns / NS_PER_SEC - RESOLUTION_MS / 1000);
    const { active, idle } = this.#utilization(this.#since);
    const worked = Math.max(0, active - (this.#sleptMs() - this.#sleptBeforeMs));
    return {
      delayP50Sec: late(this.#delay.percentile(50)),
      delayP99Sec: late(this.#delay.percentile(99)),
      delayMaxSec: this.#delay.count === 0 ? 0 : late(this.#delay.max),
      utilization: active + idle > 0 ? worked / (active + idle) : 0,
    };
  }
}

function ownGauges(): EventLoopGauges {
  return {
    delay: monitorEventLoopDelay({ resolution: RESOLUTION_MS }),
    utilization: (since) => performance.eventLoopUtilization(since),
  };
}
