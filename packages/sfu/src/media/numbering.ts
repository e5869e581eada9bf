import { sequenceDistance } from '../rtp/header.ts';
import type { Encoding } from './encoding.ts';

/** Power of two. At thirty pictures left out a second the numbers of two seconds are known. */
const STRETCHES = 64;
/** Older packets are neither forwarded nor asked for any more. */
const MEMORY = 4_096;
/** A stretch that grows longer than this begins anew, because 16-bit numbers do not tell more than half a round apart. */
const MAX_STRETCH = 16_384;

/**
 * The sequence numbers of one subscriber: they rise by one from packet to packet while encodings change and packets are
 * left out on purpose, and a number that was given once always stands for the same packet.
 *
 * Numbers run in stretches with one difference between incoming and outgoing numbers. A stretch begins with another
 * encoding, or behind packets that were left out. What is missing when a later packet comes keeps its number.
 */
export class Numbering {
  readonly #encodings = new Array<Encoding | null>(STRETCHES).fill(null);
  readonly #firstIn = new Uint16Array(STRETCHES);
  readonly #firstOut = new Uint16Array(STRETCHES);
  readonly #timestampDeltas = new Uint32Array(STRETCHES);
  /** 1 where the stretch began with another encoding, or with the same one after a break: earlier packets are no part of it. */
  readonly #breaks = new Uint8Array(STRETCHES);
  #begun = 0;
  /** Of the newest stretch: outgoing minus incoming. */
  #delta = 0;
  #highestIn = 0;
  #next: number;

  /** What `find` found: where the packet is, and what to add to its timestamp. */
  foundEncoding: Encoding | null = null;
  foundSequence = 0;
  foundTimestampDelta = 0;
  /** Nothing began anew since: no key frame has made it useless. */
  foundIsCurrent = false;

  /** @param first the first number to give */
  constructor(first: number) {
    this.#next = first;
  }

  /** The first number that was not given. */
  get next(): number {
    return this.#next;
  }

  /** `encoding` goes on from its packet `sequence`; nothing before that is sent any more. */
  begin(encoding: Encoding, sequence: number, timestampDelta: number): void {
    this.#push(encoding, sequence, timestampDelta, 1);
    this.#highestIn = (sequence - 1) & 0xffff;
  }

  /** The number for an incoming packet, late ones included; -1 for one that is not to be sent. The hot path. */
  take(sequence: number): number {
    const ahead = sequenceDistance(this.#highestIn, sequence);
    if (ahead <= 0) return this.#late(sequence, -ahead);
    this.#highestIn = sequence;
    const out = (sequence + this.#delta) & 0xffff;
    this.#next = (out + 1) & 0xffff;
    const slot = (this.#begun - 1) & (STRETCHES - 1);
    if (sequenceDistance(this.#firstOut[slot] as number, out) > MAX_STRETCH) this.#rebase(slot);
    return out;
  }

  /**
   * The packet that took its number last is left out: the number goes to the next one.
   * @returns false when the packet is a late one; its number stands between others that were sent, and something has to
   * be sent under it
   */
  giveBack(sequence: number): boolean {
    if (sequence !== this.#highestIn) return false;
    this.#next = (this.#next - 1) & 0xffff;
    const slot = (this.#begun - 1) & (STRETCHES - 1);
    const following = (sequence + 1) & 0xffff;
    if (this.#firstIn[slot] === sequence && this.#breaks[slot] === 0) {
      this.#firstIn[slot] = following;
      this.#delta = (this.#next - following) & 0xffff;
    } else {
      this.#push(this.#encodings[slot] as Encoding, following, this.#timestampDeltas[slot] as number, 0);
    }
    return true;
  }

  /** Looks up which packet went out under a number. False when none did, or when that is long ago. */
  find(out: number): boolean {
    const age = sequenceDistance(out, this.#next);
    if (age <= 0 || age > MEMORY) return false;
    this.foundIsCurrent = true;
    for (let i = this.#begun - 1; i >= 0 && i >= this.#begun - STRETCHES; i--) {
      const slot = i & (STRETCHES - 1);
      const ahead = sequenceDistance(this.#firstOut[slot] as number, out);
      if (ahead < 0) {
        if (this.#breaks[slot] === 1) this.foundIsCurrent = false;
        continue;
      }
      this.foundEncoding = this.#encodings[slot] as Encoding;
      this.foundSequence = ((this.#firstIn[slot] as number) + ahead) & 0xffff;
      this.foundTimestampDelta = this.#timestampDeltas[slot] as number;
      return true;
    }
    return false;
  }

  /** Forgets which packets went out; the numbers go on. */
  forget(): void {
    this.#begun = 0;
    this.#encodings.fill(null);
  }

  #push(encoding: Encoding, firstIn: number, timestampDelta: number, breaks: 0 | 1): void {
    const slot = this.#begun++ & (STRETCHES - 1);
    this.#encodings[slot] = encoding;
    this.#firstIn[slot] = firstIn;
    this.#firstOut[slot] = this.#next;
    this.#timestampDeltas[slot] = timestampDelta;
    this.#breaks[slot] = breaks;
    this.#delta = (this.#next - firstIn) & 0xffff;
  }

  #late(sequence: number, age: number): number {
    if (age > MEMORY) return -1;
    for (let i = this.#begun - 1; i >= 0 && i >= this.#begun - STRETCHES; i--) {
      const slot = i & (STRETCHES - 1);
      const ahead = sequenceDistance(this.#firstIn[slot] as number, sequence);
      if (ahead >= 0) return ((this.#firstOut[slot] as number) + ahead) & 0xffff;
      if (this.#breaks[slot] === 1) return -1;
    }
    return -1;
  }

  // The same difference, from a later packet on; what was before is older than MEMORY.
  #rebase(slot: number): void {
    const encoding = this.#encodings[slot] as Encoding;
    const timestampDelta = this.#timestampDeltas[slot] as number;
    this.forget();
    this.#begun = 1;
    this.#encodings[0] = encoding;
    this.#firstOut[0] = this.#next - MEMORY;
    this.#firstIn[0] = this.#firstOut[0] - this.#delta;
    this.#timestampDeltas[0] = timestampDelta;
    this.#breaks[0] = 1;
  }
}
