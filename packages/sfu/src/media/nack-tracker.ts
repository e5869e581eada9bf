import { sequenceDistance } from '../rtp/header.ts';

const MAX_TRIES = 10;
const GIVE_UP_MS = 1_000;
/** A larger hole is a break of the stream, not loss: only a key frame helps. */
const MAX_GAP = 256;
/** Before the round-trip time is known, and its bounds. */
const FIRST_RETRY_MS = 60;
const MIN_RETRY_MS = 20;
const MAX_RETRY_MS = 300;
/** Over the smoothed round trip: an answer that is a little late is not asked for again. */
const RETRY_FACTOR = 1.25;
const SOON = 0.6;

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
  #gaveUp = false;

  /** Notes a packet. True when it left a hole that is too large to mend. */
  record(sequence: number, nowMs: number): boolean {
    if (!this.#started) {
      this.#started = true;
      this.#highest = sequence;
      return false;
    }
    const ahead = sequenceDistance(this.#highest, sequence);
    if (ahead <= 0) {
      if (this.#missing.length > 0) this.#found(sequence, nowMs);
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

  #found(sequence: number, nowMs: number): void {
    const index = this.#missing.findIndex((missing) => missing.sequence === sequence);
    if (index < 0) return;
    const [{ tries, firstAsked, lastAsked }] = this.#missing.splice(index, 1) as [Missing];
    // What comes soon after the second request answers the first; later, nobody knows.
    if (tries === 0 || tries > 2 || (tries === 2 && nowMs - lastAsked > this.retryMs * SOON)) return;
    const sample = nowMs - firstAsked;
    this.#roundTripMs = Number.isNaN(this.#roundTripMs) ? sample : this.#roundTripMs * 0.8 + sample * 0.2;
  }
}
