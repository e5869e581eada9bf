import type { Clock, Timer } from '@orama/core';

/** How long our first offer waits for the client's, so that the two do not cross on every join. */
const FIRST_OFFER_WAIT_MS = 100;
/**
 * The least time between two of our offers: what happens meanwhile goes into the next one. It grows with the m-lines,
 * because the work of an offer does, on both sides: in a large room many joins share one.
 */
const OFFER_GAP_MS = 120;
const OFFER_GAP_PER_LINE_MS = 3;
/** An offer unanswered for so long is taken back and made anew. */
const ANSWER_TIMEOUT_MS = 10_000;

export interface OfferPacingEvents {
  /** The time to make the offer that is wanted; followed by `sent()` where it goes out. */
  onTime: () => void;
  /** The offer that is out was not answered in time. */
  onUnanswered: () => void;
}

/** When our offers to a peer are made: one at a time, and what happens within a while in one. */
export class OfferPacing {
  readonly #clock: Clock;
  readonly #events: OfferPacingEvents;
  #isWanted = false;
  #isOut = false;
  #earliestMs: number;
  #timer: Timer | null = null;
  #answerTimer: Timer | null = null;
  #closed = false;

  constructor(clock: Clock, events: OfferPacingEvents) {
    this.#clock = clock;
    this.#events = events;
    this.#earliestMs = clock.monotonic() + FIRST_OFFER_WAIT_MS;
  }

  /** An offer is wanted, as soon as it may be. */
  request(): void {
    this.#isWanted = true;
    // Everything that happens in this turn of the event loop goes into one offer.
    queueMicrotask(() => this.resume());
  }

  /** An offer of so many m-lines of ours is out. */
  sent(lines: number): void {
    this.#isOut = true;
    this.#answerTimer = this.#clock.after(ANSWER_TIMEOUT_MS, this.#events.onUnanswered);
    this.#earliestMs = this.#clock.monotonic() + OFFER_GAP_MS + lines * OFFER_GAP_PER_LINE_MS;
  }

  /** No offer is out any more; see `resume`. */
  ended(): void {
    this.#isOut = false;
    this.#answerTimer?.cancel();
    this.#answerTimer = null;
  }

  /** The offer that was out, if there was one, is taken back: it is wanted again, and waits for a request. */
  takenBack(): void {
    if (this.#isOut) this.#isWanted = true;
    this.ended();
  }

  /** We answer an offer of the peer: one that is wanted waits for nothing but this turn of the event loop to end. */
  answers(): void {
    this.#earliestMs = 0;
    this.#timer?.cancel();
    this.#timer = null;
    // An offer that overtakes the answer would meet the peer's own, and be ignored.
    if (this.#isWanted) this.request();
  }

  /** Makes the offer that is wanted, now or as soon as it may be; nothing where none is, or another is out. */
  resume(): void {
    if (this.#closed || !this.#isWanted || this.#isOut || this.#timer) return;
    const waitMs = this.#earliestMs - this.#clock.monotonic();
    if (waitMs <= 0) {
      this.#isWanted = false;
      this.#events.onTime();
      return;
    }
    this.#timer = this.#clock.after(waitMs, () => {
      this.#timer = null;
      this.resume();
    });
  }

  /** No offer is made after this. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#answerTimer?.cancel();
  }
}
