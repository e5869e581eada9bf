import { sequenceDistance } from '../rtp/header.ts';

/** How long a missing packet is waited for while it is asked for again. */
const WAIT_MS = 1_000;
const MAX_PACKETS = 4_096;

/** Puts the packets of one stream back into the order of their numbers. */
export class ReorderBuffer {
  readonly #packets = new Map<number, Buffer>();
  #next: number | null = null;
  #stuckSinceMs: number | null = null;

  /** Takes a packet that may come late, twice, or before others. */
  push(sequence: number, packet: Buffer): void {
    this.#next ??= sequence;
    if (sequenceDistance(this.#next, sequence) >= 0) this.#packets.set(sequence, packet);
  }

  /**
   * Hands over what is in order, and what is behind a hole once that has been waited for.
   * @param take gets a packet, and how many before it are lost
   */
  drain(nowMs: number, take: (packet: Buffer, lost: number) => void): void {
    let lost = 0;
    while (this.#next !== null && this.#packets.size > 0) {
      const packet = this.#packets.get(this.#next);
      if (packet) {
        this.#stuckSinceMs = null;
        this.#packets.delete(this.#next);
        this.#next = (this.#next + 1) & 0xffff;
        take(packet, lost);
        lost = 0;
        continue;
      }
      this.#stuckSinceMs ??= nowMs;
      if (nowMs - this.#stuckSinceMs < WAIT_MS && this.#packets.size < MAX_PACKETS) return;
      const next = this.#next;
      lost = Math.min(...[...this.#packets.keys()].map((sequence) => sequenceDistance(next, sequence)));
      this.#next = (next + lost) & 0xffff;
    }
  }
}
