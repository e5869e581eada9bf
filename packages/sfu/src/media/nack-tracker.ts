import { sequenceDistance } from '../rtp/header.ts';

const RETRY_MS = 50;
const MAX_TRIES = 10;
const GIVE_UP_MS = 1_000;
/** A larger hole is a break of the stream, not loss: only a key frame helps. */
const MAX_GAP = 256;

interface Missing {
  sequence: number;
  since: number;
  lastAsked: number;
  tries: number;
}

/** Finds holes in an incoming stream and says which packets to ask for, and when to ask again. */
export class NackTracker {
  #started = false;
  #highest = 0;
  #missing: Missing[] = [];

  /** Notes a packet. True when it left a hole that is too large to mend. */
  record(sequence: number, nowMs: number): boolean {
    if (!this.#started) {
      this.#started = true;
      this.#highest = sequence;
      return false;
    }
    const ahead = sequenceDistance(this.#highest, sequence);
    if (ahead <= 0) {
      if (this.#missing.length > 0) this.#missing = this.#missing.filter((missing) => missing.sequence !== sequence);
      return false;
    }
    this.#highest = sequence;
    if (ahead === 1) return false;
    if (ahead > MAX_GAP) {
      this.#missing = [];
      return true;
    }
    for (let i = ahead - 1; i > 0; i--)
      this.#missing.push({ sequence: (sequence - i) & 0xffff, since: nowMs, lastAsked: -RETRY_MS, tries: 0 });
    return false;
  }

  get hasMissing(): boolean {
    return this.#missing.length > 0;
  }

  /** Sequence numbers to ask for now, in rising order. */
  due(nowMs: number): number[] {
    if (this.#missing.length === 0) return [];
    this.#missing = this.#missing.filter(({ since, tries }) => tries < MAX_TRIES && nowMs - since < GIVE_UP_MS);
    const due: number[] = [];
    for (const missing of this.#missing) {
      if (missing.tries > 0 && nowMs - missing.lastAsked < RETRY_MS) continue;
      missing.lastAsked = nowMs;
      missing.tries++;
      due.push(missing.sequence);
    }
    return due;
  }

  /** Forgets everything: the stream begins anew. */
  reset(): void {
    this.#started = false;
    this.#missing = [];
  }
}
