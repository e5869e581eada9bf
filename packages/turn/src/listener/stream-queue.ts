import type { Writable } from 'node:stream';
import type { Clock } from '@orama/core';

/** What waits is kept in blocks of this size: one fills a TLS record. */
const BLOCK_BYTES = 16 * 1024;

/**
 * The way into one stream. As long as the stream takes what it is given, runs are written from where they lie. While it
 * does not, they are copied together into blocks of its own: a client that does not read holds no memory shared with
 * others, many small frames cost no more than their bytes, and what is counted is what is held.
 */
export class StreamQueue {
  readonly #stream: Writable;
  readonly #clock: Clock;
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
    this.flush();
  };

  constructor(stream: Writable, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
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
    this.#begun(run.buffer.byteLength);
  }

  /** Hands the stream all that waits, whether it takes it or not. */
  flush(): void {
    const blocks = this.#blocks;
    const last = blocks.pop();
    if (last === undefined) return;
    this.#blocks = [];
    this.#stream.cork();
    for (const block of blocks) this.#stream.write(block);
    this.#stream.write(last.subarray(0, this.#lastBytes), this.#written);
    this.#stream.uncork();
    this.#begun((blocks.length + 1) * BLOCK_BYTES);
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
  #begun(bytes: number): void {
    if (this.#stream.writableLength === 0) return;
    this.#inFlightBytes += bytes;
    this.#stalledSinceMs ??= this.#clock.monotonic();
  }
}
