import type { Writable } from 'node:stream';
import type { Clock } from '@orama/core';

/** What waits is kept in blocks of this size: one fills a TLS record. */
const BLOCK_BYTES = 16 * 1024;
/** Blocks that a stream is given at once: TLS holds a second copy of what it has and could not send. */
const GIVEN_BLOCKS = 4;

/**
 * The way into one stream. As long as the stream takes what it is given, runs are written from where they lie. While it
 * does not, they are copied together into blocks of its own: a client that does not read holds no memory shared with
 * others, many small frames cost no more than their bytes, and what is counted is what is held.
 */
export class StreamQueue {
  readonly #stream: Writable;
  readonly #clock: Clock;
  readonly #copies: number;
  /** What waits, in blocks that are full but for the last. */
  #blocks: Buffer[] = [];
  #lastBytes = 0;
  #inFlightBytes = 0;
  #stalledSinceMs: number | undefined;
  readonly #written = () => {
    // Told late of a write that was done at once, while another has begun.
    if (this.#stream.writableLength > 0) return;
    this.#inFlightBytes = 0;
    this.#stalledSinceMs = undefined;
    this.#give(GIVEN_BLOCKS);
  };

  /** @param copies how often the bytes exist that the stream has been given and has not sent: with TLS twice */
  constructor(stream: Writable, clock: Clock, copies = 1) {
    this.#stream = stream;
    this.#clock = clock;
    this.#copies = copies;
  }

  /** Memory that waits for the stream, in bytes: whole blocks, those being written with them. */
  get heldBytes(): number {
    return this.#inFlightBytes + this.#blocks.length * BLOCK_BYTES;
  }

  /** Since when the stream has not taken what is being written; undefined when nothing is. */
  get stalledSinceMs(): number | undefined {
    return this.#stalledSinceMs;
  }

  /** Sends bytes that stay as they are. A stream that is closed loses them. */
  write(run: Buffer): void {
    if (!this.#stream.writable) return;
    if (this.#blocks.length > 0 || this.#stream.writableLength > 0) {
      this.#keep(run);
      return;
    }
    this.#stream.write(run, this.#written);
    // The block that a run lies in is held whole.
    this.#begun(run.buffer.byteLength, run.length);
  }

  /** Hands the stream all that waits, whether it takes it or not. */
  flush(): void {
    this.#give(this.#blocks.length);
  }

  /** Hands the stream the first blocks that wait. */
  #give(most: number): void {
    const blocks = this.#blocks.splice(0, most);
    const last = blocks.pop();
    if (last === undefined) return;
    this.#stream.cork();
    for (const block of blocks) this.#stream.write(block);
    const end = this.#blocks.length > 0 ? BLOCK_BYTES : this.#lastBytes;
    this.#stream.write(last.subarray(0, end), this.#written);
    this.#stream.uncork();
    const bytes = (blocks.length + 1) * BLOCK_BYTES;
    this.#begun(bytes, bytes);
  }

  #keep(run: Buffer): void {
    for (let taken = 0; taken < run.length; ) {
      let last = this.#blocks.at(-1);
      if (last === undefined || this.#lastBytes === BLOCK_BYTES) {
        last = Buffer.allocUnsafeSlow(BLOCK_BYTES);
        this.#blocks.push(last);
        this.#lastBytes = 0;
      }
      const copied = run.copy(last, this.#lastBytes, taken);
      this.#lastBytes += copied;
      taken += copied;
    }
  }

  /** Counts what was written and not taken at once. */
  #begun(held: number, given: number): void {
    if (this.#stream.writableLength === 0) return;
    this.#inFlightBytes += held + given * (this.#copies - 1);
    this.#stalledSinceMs ??= this.#clock.monotonic();
  }
}
