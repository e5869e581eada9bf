/** A bottleneck link as a path has it; everything may be changed while it is used. */
export interface PathOptions {
  /** In bit/s. */
  rateBps: number;
  /** What the queue holds, as time at the rate. */
  queueMs: number;
  /** One way, without the queue. */
  delayMs: number;
  /** Added to the delay of each packet, evenly from 0 to this; order is kept. */
  jitterMs?: number;
  /** Share of packets lost besides those that the queue drops. */
  loss?: number;
  /** Bytes that pass at once after a pause, as through a token bucket. */
  burstBytes?: number;
  /** Others' share of the rate, in bit/s. */
  crossBps?: number;
  seed?: number;
}

/** A deterministic link: rate, queue, delay, jitter, loss, cross traffic. Time comes in, arrival times come out. */
export class SimulatedPath {
  options: PathOptions;
  #random: number;
  #busyUntilMs = 0;
  #lastArrivalMs = 0;

  constructor(options: PathOptions) {
    this.options = options;
    this.#random = options.seed ?? 1;
  }

  /** Changes the rate; what waits is sent at the new one. */
  setRate(rateBps: number, nowMs: number): void {
    const waiting = Math.max(0, this.#busyUntilMs - nowMs);
    this.#busyUntilMs = nowMs + (waiting * this.options.rateBps) / rateBps;
    this.options = { ...this.options, rateBps };
  }

  /** Sends a packet in the order of time. @returns when it arrives; null for never */
  send(bytes: number, nowMs: number): number | null {
    const { rateBps, queueMs, delayMs, jitterMs = 0, loss = 0, burstBytes = 0, crossBps = 0 } = this.options;
    if (this.random() < loss) return null;
    const msPerByte = 8_000 / Math.max(1, rateBps - crossBps);
    const start = Math.max(this.#busyUntilMs, nowMs - burstBytes * msPerByte);
    if (start - nowMs > queueMs) return null;
    this.#busyUntilMs = start + bytes * msPerByte;
    const arrivalMs = Math.max(nowMs, this.#busyUntilMs) + delayMs + this.random() * jitterMs;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, arrivalMs);
    return this.#lastArrivalMs;
  }

  /** From 0 to 1 (mulberry32). */
  random(): number {
    this.#random = (this.#random + 0x6d2b79f5) >>> 0;
    let t = this.#random;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}
