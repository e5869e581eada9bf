/**
 * How far a publisher's clock is from ours, the same for all of its streams: by the report that was quickest to come, so
 * that what delayed the others does not count.
 */
export class PeerClock {
  #offsetMs = Number.POSITIVE_INFINITY;

  /** A report came. @param ntpSeconds of the publisher's clock when it was made */
  learn(ntpSeconds: number, nowMs: number): void {
    this.#offsetMs = Math.min(this.#offsetMs, nowMs - ntpSeconds * 1000);
  }

  /** A time of the publisher's clock by ours, in milliseconds; null before a report. */
  toLocalMs(ntpSeconds: number): number | null {
    return Number.isFinite(this.#offsetMs) ? ntpSeconds * 1000 + this.#offsetMs : null;
  }
}
