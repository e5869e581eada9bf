import { sequenceDistance } from '../rtp/header.ts';

const MAX_TRIES = 10;
const GIVE_UP_MS = 1_000;
/** A larger hole is a break of the stream, not loss: only a key frame helps. */
const MAX_GAP = 256;
/** Before the round-trip time is known, and its bounds. */
const FIRST_RETRY_MS = 60;
const MIN_RETRY_MS = 30;
const MAX_RETRY_MS = 300;
/** Over the smoothed round trip: an answer that is a little late is not asked for again. */
const RETRY_FACTOR = 1.25;
const SOON = 0.6;
/** A packet that was only overtaken comes within this; where that happens the first request waits so long. */
const MAX_REORDERING_MS = 25;
const REORDERING_FACTOR = 1.5;
const REORDERING_DECAY = 0.98;

const NONE: number[] = [];

interface Missing {
  sequence: number;
  since: number;
  firstAsked: number;
  lastAsked: number;
  tries: number;
}

/**
 * Finds holes in an incoming stream and says which packets to ask for, and when to ask again: after a round trip, which
 * shows in how long first answers take.
 */
export class NackTracker {
  #started = false;
  #highest = 0;
  #missing: Missing[] = [];
  #roundTripMs = Number.NaN;
  /** How late packets come that were overtaken on their way. */
  #reorderingMs = 0;
  #gaveUp = false;

  /**
   * Notes a packet. True when it left a hole that is too large to mend.
   * @param isRepeat it came as a retransmission (RFC 4588)
   */
  record(sequence: number, nowMs: number, isRepeat = false): boolean {
    if (!this.#started) {
      this.#started = true;
      this.#highest = sequence;
      return false;
    }
    const ahead = sequenceDistance(this.#highest, sequence);
    if (ahead <= 0) {
      if (this.#missing.length > 0) this.#found(sequence, nowMs, isRepeat);
      return false;
    }
    this.#highest = sequence;
    if (ahead === 1) return false;
    if (ahead > MAX_GAP) {
      this.#missing = [];
      return true;
    }
    for (let i = ahead - 1; i > 0; i--)
      this.#missing.push({ sequence: (sequence - i) & 0xffff, since: nowMs, firstAsked: 0, lastAsked: 0, tries: 0 });
    return false;
  }

  get hasMissing(): boolean {
    return this.#missing.length > 0;
  }

  /** From a request to its answer, smoothed, in milliseconds; NaN while that is not known. */
  get roundTripMs(): number {
    return this.#roundTripMs;
  }

  /** Until a packet is asked for again, in milliseconds. */
  get retryMs(): number {
    if (Number.isNaN(this.#roundTripMs)) return FIRST_RETRY_MS;
    return Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, this.#roundTripMs * RETRY_FACTOR));
  }

  /** Sequence numbers to ask for now, in rising order. */
  due(nowMs: number): readonly number[] {
    let due: number[] = NONE;
    let kept = 0;
    for (let i = 0; i < this.#missing.length; i++) {
      const missing = this.#missing[i] as Missing;
      if (missing.tries >= MAX_TRIES || nowMs - missing.since >= GIVE_UP_MS) {
        this.#gaveUp = true;
        continue;
      }
      this.#missing[kept++] = missing;
      if (missing.tries === 0 && nowMs - missing.since < this.#reorderingMs) continue;
      if (missing.tries > 0 && nowMs - missing.lastAsked < this.retryMs) continue;
      if (missing.tries === 0) missing.firstAsked = nowMs;
      missing.lastAsked = nowMs;
      missing.tries++;
      if (due === NONE) due = [];
      due.push(missing.sequence);
    }
    this.#missing.length = kept;
    return due;
  }

  /** Whether a packet was given up since the last call: who needs it needs a key frame now. */
  takeGaveUp(): boolean {
    const gaveUp = this.#gaveUp;
    this.#gaveUp = false;
    return gaveUp;
  }

  /** Forgets everything: the stream begins anew. */
  reset(): void {
    this.#started = false;
    this.#missing = [];
  }

  #found(sequence: number, nowMs: number, isRepeat: boolean): void {
    const index = this.#missing.findIndex((missing) => missing.sequence === sequence);
    if (index < 0) return;
    const [{ since, tries, firstAsked, lastAsked }] = this.#missing.splice(index, 1) as [Missing];
    const lateMs = nowMs - since;
    if (!isRepeat && lateMs <= MAX_REORDERING_MS) {
      this.#reorderingMs = Math.min(MAX_REORDERING_MS, Math.max(this.#reorderingMs, lateMs * REORDERING_FACTOR));
      return;
    }
    this.#reorderingMs *= REORDERING_DECAY;
    // What comes soon after the second request answers the first; later, nobody knows.
    if (tries === 0 || tries > 2 || (tries === 2 && nowMs - lastAsked > this.retryMs * SOON)) return;
    const sample = nowMs - firstAsked;
    this.#roundTripMs = Number.isNaN(this.#roundTripMs) ? sample : this.#roundTripMs * 0.8 + sample * 0.2;
  }
}
