import {
  type EventLoopUtilization,
  type Histogram,
  monitorEventLoopDelay,
  performance,
  type RecordableHistogram,
} from 'node:perf_hooks';

const RESOLUTION_MS = 10;
const NS_PER_SEC = 1e9;

/** How late the event loop of a thread was and how busy, over a window. Seconds, and a share of one. */
export interface EventLoopLoad {
  readonly delayP50Sec: number;
  readonly delayP99Sec: number;
  readonly delayMaxSec: number;
  readonly utilization: number;
}

/** A loop that a thread spends its time in, beside its event loop and unseen by it. */
export interface OtherLoop {
  /** How long the thread has slept there so far, which the event loop takes for work. */
  readonly sleptMs: number;
  /** Nanoseconds in which the thread looked neither here nor there; undefined where the event loop's own delay tells it. */
  readonly standstill: RecordableHistogram | undefined;
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
  readonly #other: OtherLoop;
  #since: EventLoopUtilization;
  #sleptBeforeMs = 0;
  #window: EventLoopLoad | undefined;

  constructor(other: OtherLoop = NO_OTHER_LOOP, gauges: EventLoopGauges = ownGauges()) {
    this.#other = other;
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
    this.#other.standstill?.reset();
    this.#since = this.#utilization();
    this.#sleptBeforeMs = this.#other.sleptMs;
  }

  close(): void {
    this.#delay.disable();
  }

  #measure(): EventLoopLoad {
    const { sleptMs, standstill } = this.#other;
    const delay = standstill ?? this.#delay;
    // Node's histogram measures whole intervals of its own timer; what is above the resolution is delay.
    const usualSec = standstill === undefined ? RESOLUTION_MS / 1000 : 0;
    const late = (ns: number) => Math.max(0, ns / NS_PER_SEC - usualSec);
    const { active, idle } = this.#utilization(this.#since);
    const worked = Math.max(0, active - (sleptMs - this.#sleptBeforeMs));
    return {
      delayP50Sec: late(delay.percentile(50)),
      delayP99Sec: late(delay.percentile(99)),
      delayMaxSec: delay.count === 0 ? 0 : late(delay.max),
      utilization: active + idle > 0 ? worked / (active + idle) : 0,
    };
  }
}

const NO_OTHER_LOOP: OtherLoop = { sleptMs: 0, standstill: undefined };

function ownGauges(): EventLoopGauges {
  return {
    delay: monitorEventLoopDelay({ resolution: RESOLUTION_MS }),
    utilization: (since) => performance.eventLoopUtilization(since),
  };
}
