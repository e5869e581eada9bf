/** The least time between two requests to one publisher, however many subscribers ask. */
const MIN_GAP_MS = 500;

/** Coalesces subscribers' wishes for a key frame, and repeats the request until one arrives. */
export class KeyFrameRequests {
  readonly #send: () => boolean;
  #wanted = false;
  #asked = false;
  #lastSentMs = Number.NEGATIVE_INFINITY;

  /** @param send asks the publisher (PLI or FIR); false when that was not possible yet */
  constructor(send: () => boolean) {
    this.#send = send;
  }

  /** A subscriber needs a key frame. */
  request(nowMs: number): void {
    this.#wanted = true;
    this.#asked = false;
    this.#ask(nowMs);
  }

  /** A key frame began: every wish so far is fulfilled. */
  onKeyFrame(): void {
    this.#wanted = false;
  }

  /**
   * Asks for what could not be asked for before, and again for what has not come. Call it every 50 ms or so.
   * @param flowing whether the publisher sends at all; a silent one is asked once
   */
  tick(nowMs: number, flowing: boolean): void {
    if (this.#wanted && (flowing || !this.#asked)) this.#ask(nowMs);
  }

  #ask(nowMs: number): void {
    if (nowMs - this.#lastSentMs < MIN_GAP_MS || !this.#send()) return;
    this.#asked = true;
    this.#lastSentMs = nowMs;
  }
}
