/** Most that one sender report corrects, in seconds: the file's clock is drawn to the publisher's, never torn. */
const MAX_CORRECTION_SEC = 0.002;
/** A larger difference is a publisher's clock that was set, not one that drifts. */
const MAX_DRIFT_SEC = 1;

/**
 * RTP timestamps of one stream as seconds of media, and by its sender reports (RFC 3550 section 6.4.1) as times of the
 * publisher's clock, which all of its streams share.
 */
export class Timeline {
  readonly #clockRate: number;
  #first: number | null = null;
  #last = 0;
  #correctionSec = 0;
  #report: { ticks: number; seconds: number } | null = null;

  constructor(clockRate: number) {
    this.#clockRate = clockRate;
  }

  /** Seconds since the first timestamp that was asked about. */
  seconds(timestamp: number): number {
    const ticks = this.#unwrap(timestamp);
    this.#first ??= ticks;
    return (ticks - this.#first) / this.#clockRate + this.#correctionSec;
  }

  /** @param ntpSeconds of the publisher's clock, fraction included */
  learn(rtpTimestamp: number, ntpSeconds: number): void {
    const ticks = this.#unwrap(rtpTimestamp);
    if (this.#report) {
      const expected = this.#report.seconds + (ticks - this.#report.ticks) / this.#clockRate + this.#correctionSec;
      const drift = ntpSeconds - expected;
      if (Math.abs(drift) < MAX_DRIFT_SEC) {
        this.#correctionSec += Math.max(-MAX_CORRECTION_SEC, Math.min(MAX_CORRECTION_SEC, drift));
        return;
      }
    }
    this.#report = { ticks, seconds: ntpSeconds - this.#correctionSec };
  }

  /** The publisher's time of the first timestamp, in seconds; null before a report. */
  get startSec(): number | null {
    if (!this.#report || this.#first === null) return null;
    return this.#report.seconds + (this.#first - this.#report.ticks) / this.#clockRate;
  }

  // The nearest to the last one of all that have the same lower 32 bits.
  #unwrap(timestamp: number): number {
    const ahead = (timestamp - this.#last) | 0;
    this.#last = this.#first === null && this.#report === null ? timestamp : this.#last + ahead;
    return this.#last;
  }
}
