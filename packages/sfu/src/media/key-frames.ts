/** The least time between two requests to one publisher, however many subscribers ask. */
const MIN_GAP_MS = 500;

/** Coalesces subscribers' wishes for a key frame, and repeats the request until one arrives. */
export class KeyFrameRequests {
  readonly #send: () => void;
  #wanted = false;
  #lastSentMs = Number.NEGATIVE_INFINITY;

  /** @param send asks the publisher (PLI or FIR) */
  constructor(send: () => void) {
    this.#send = send;
  }

  /** A subscriber needs a key frame. */
  request(nowMs: number): void {
    this.#wanted = true;
    if (nowMs - this.#lastSentMs >= MIN_GAP_MS) this.#ask(nowMs);
  }

  /** A key frame began: every wish so far is fulfilled. */
  onKeyFrame(): void {
    this.#wanted = false;
  }

  /** Asks for what was held back by the gap, and again for what has not come. Call it every 50 ms or so. */
  tick(nowMs: number): void {
    if (this.#wanted && nowMs - this.#lastSentMs >= MIN_GAP_MS) this.#ask(nowMs);
  }

  #ask(nowMs: number): void {
    this.#lastSentMs = nowMs;
    this.#send();
  }
}
