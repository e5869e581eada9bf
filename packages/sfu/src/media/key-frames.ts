import { TokenBucket } from '@orama/core';

/** Between two requests while no key frame comes: the first may be lost. Browsers ignore a second one sooner than that. */
const RETRY_MS = 300;
/** Where the round trip is known, over that: the encoder waits for the next picture. */
const ANSWER_MS = 120;
/** A wish this soon after a key frame was made before that arrived; it waits, and so does who joins. */
const MIN_GAP_MS = 300;
/** One a second, and one more after a quiet time: many joining, or many with a bad path, are no storm. */
const RATE = { burst: 2, perSec: 1 };

/** Coalesces wishes for a key frame of one encoding, and repeats the request until one comes. */
export class KeyFrameRequests {
  readonly #send: () => boolean;
  readonly #path: { readonly roundTripMs: number };
  readonly #budget = new TokenBucket(RATE, 0);
  #wanted = false;
  #asked = false;
  /** A request is out that no key frame has answered yet. */
  #unanswered = false;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #lastKeyFrameMs = Number.NEGATIVE_INFINITY;

  /**
   * @param send asks the publisher (PLI or FIR); false when that was not possible yet
   * @param path how long an answer of the publisher takes; NaN while that is not known
   */
  constructor(send: () => boolean, path: { readonly roundTripMs: number }) {
    this.#send = send;
    this.#path = path;
  }

  /** Whether one is wanted that has not come yet. */
  get isPending(): boolean {
    return this.#wanted;
  }

  /** Somebody needs a key frame. */
  request(nowMs: number): void {
    this.#wanted = true;
    this.#asked = false;
    this.#ask(nowMs);
  }

  /** A key frame began: every wish so far is fulfilled. */
  onKeyFrame(nowMs: number): void {
    this.#wanted = this.#unanswered = false;
    this.#lastKeyFrameMs = nowMs;
  }

  /**
   * Asks for what could not be asked for before, and again for what has not come. Call it every 50 ms or so.
   * @param flowing whether the publisher sends at all; a silent one is asked once
   */
  tick(nowMs: number, flowing: boolean): void {
    if (this.#wanted && (flowing || !this.#asked)) this.#ask(nowMs);
  }

  get #retryMs(): number {
    const { roundTripMs } = this.#path;
    return Number.isNaN(roundTripMs) ? RETRY_MS : Math.min(RETRY_MS, roundTripMs + ANSWER_MS);
  }

  #ask(nowMs: number): void {
    if (nowMs - this.#lastSentMs < this.#retryMs || nowMs - this.#lastKeyFrameMs < MIN_GAP_MS) return;
    if (!this.#unanswered && !this.#budget.take(nowMs)) return;
    this.#unanswered = true;
    if (!this.#send()) return;
    this.#asked = true;
    this.#lastSentMs = nowMs;
  }
}
