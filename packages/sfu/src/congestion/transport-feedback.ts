import { buildTransportFeedback } from '../rtp/rtcp/transport-feedback.ts';

/** Power of two; at 500 packets a second it holds eight seconds. */
const WINDOW = 4096;
/** Statuses per feedback packet: with two-byte deltas it still fits one datagram. */
const MAX_STATUSES = 400;

/** Arrival times of a publisher's transport-wide sequence numbers, turned into feedback for its bandwidth estimator. */
export class ArrivalRecorder {
  readonly #arrivals = new Float64Array(WINDOW).fill(-1);
  /** Next unwrapped sequence number to report; -1 before the first packet. */
  #next = -1;
  #highest = -1;
  #feedbackCount = 0;

  /** Notes one packet. Allocates nothing. */
  record(sequence16: number, arrivalUs: number): void {
    if (this.#highest < 0) {
      this.#next = this.#highest = sequence16 + 0x10000;
    }
    const distance = ((sequence16 - this.#highest) << 16) >> 16;
    const sequence = this.#highest + distance;
    if (distance > 0) {
      if (distance >= WINDOW) {
        this.#arrivals.fill(-1);
        this.#next = sequence;
      } else {
        for (let i = this.#highest + 1; i < sequence; i++) this.#arrivals[i & (WINDOW - 1)] = -1;
      }
      this.#highest = sequence;
      if (this.#next <= sequence - WINDOW) this.#next = sequence - WINDOW + 1;
    } else if (sequence < this.#next) {
      // Late, after its loss was reported: too old ones are let go, others are reported again as received.
      if (this.#next - sequence > MAX_STATUSES) return;
      this.#next = sequence;
    }
    this.#arrivals[sequence & (WINDOW - 1)] = arrivalUs;
  }

  /** Feedback for everything since the last call, or null when nothing arrived. Call again until null. */
  take(senderSsrc: number, mediaSsrc: number): Buffer | null {
    if (this.#highest < 0) return null;
    let first = this.#next;
    while (first <= this.#highest && (this.#arrivals[first & (WINDOW - 1)] as number) < 0) first++;
    if (first > this.#highest) return null;
    // What was lost before the first arrival is told too, unless that is too much for one packet.
    const from = Math.max(this.#next, first - MAX_STATUSES / 2);
    const until = Math.min(this.#highest, from + MAX_STATUSES - 1);
    const arrivalsUs: (number | null)[] = [];
    for (let i = from; i <= until; i++) {
      const arrival = this.#arrivals[i & (WINDOW - 1)] as number;
      arrivalsUs.push(arrival < 0 ? null : arrival);
    }
    const { packet, covered } = buildTransportFeedback({
      senderSsrc,
      mediaSsrc,
      baseSequence: from & 0xffff,
      feedbackCount: this.#feedbackCount++,
      arrivalsUs,
    });
    this.#next = from + covered;
    return packet;
  }
}
