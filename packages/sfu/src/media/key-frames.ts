/** Between two requests while no key frame comes: the first may be lost. */
const RETRY_MS = 500;
/** Between a key frame and the next request: who joins within it waits, so that many joining are no storm. */
const MIN_GAP_MS = 1_000;

/** Coalesces wishes for a key frame of one encoding, and repeats the request until one comes. */
export class KeyFrameRequests {
  readonly #send: () => boolean;
  #wanted = false;
  #asked = false;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #lastKeyFrameMs = Number.NEGATIVE_INFINITY;

  /** @param send asks the publisher (PLI or FIR); false when that was not possible yet */
  constructor(send: () => boolean) {
    this.#send = send;
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
    this.#wanted = false;
    this.#lastKeyFrameMs = nowMs;
  }

  /**
   * Asks for what could not be asked for before, and again for what has not come. Call it every 50 ms or so.
   * @param flowing whether the publisher sends at all; a silent one is asked once
   */
  tick(nowMs: number, flowing: boolean): void {
    if (this.#wanted && (flowing || !this.#asked)) this.#ask(nowMs);
  }

  #ask(nowMs: number): void {
    if (nowMs - this.#lastSentMs < RETRY_MS || nowMs - this.#lastKeyFrameMs < MIN_GAP_MS || !this.#send()) return;
    this.#asked = true;
    this.#lastSentMs = nowMs;
  }
}
