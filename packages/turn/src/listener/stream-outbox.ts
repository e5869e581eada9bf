import type { StreamQueue } from './stream-queue.ts';

/** Frames are put together in blocks of this size. */
const BLOCK_BYTES = 64 * 1024;
/** A run this long is written at once: it fills a TLS record. */
const RUN_BYTES = 16 * 1024;

/**
 * Gathers frames for streams. Packets from a peer come in bursts, so what goes to one client in a row leaves in one
 * write (on TLS: one record) as soon as the burst has been handled, and not one system call a packet. Frames are
 * written into the block they are sent from, which streams share; no place in it is written to twice.
 */
export class StreamOutbox {
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  /** The run not written yet: whose it is, and where in the block. */
  #queue: StreamQueue | undefined;
  #start = 0;
  #end = 0;
  #scheduled = false;
  readonly #flushLater = () => {
    this.#scheduled = false;
    this.flush();
  };

  /** Bytes for `queue` that wait here. */
  waiting(queue: StreamQueue): number {
    return this.#queue === queue ? this.#end - this.#start : 0;
  }

  /** Room for a frame of at most so many bytes to `queue`, to be written into at once and then sent with `commit`. */
  reserve(queue: StreamQueue, bytes: number): Buffer {
    if (this.#queue !== queue || this.#end - this.#start >= RUN_BYTES) this.flush();
    if (this.#end + bytes > this.#block.length) {
      this.flush();
      this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes));
      this.#start = 0;
      this.#end = 0;
    }
    this.#queue = queue;
    return this.#block.subarray(this.#end);
  }

  /** Sends the first `bytes` of what was reserved last. */
  commit(bytes: number): void {
    this.#end += bytes;
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Not setImmediate: batched sockets may sleep before it has its turn.
    process.nextTick(this.#flushLater);
  }

  /** Writes what waits. */
  flush(): void {
    const queue = this.#queue;
    if (queue === undefined) return;
    this.#queue = undefined;
    const run = this.#block.subarray(this.#start, this.#end);
    this.#start = this.#end;
    if (run.length > 0) queue.write(run);
  }
}
