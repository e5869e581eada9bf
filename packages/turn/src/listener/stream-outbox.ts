import type { Writable } from 'node:stream';

/** Frames are put together in blocks of this size. */
const BLOCK_BYTES = 64 * 1024;
/** A run this long is written at once: it fills a TLS record. */
const RUN_BYTES = 16 * 1024;

/**
 * Gathers frames for streams. Packets from a peer come in bursts, so what goes to one client in a row leaves in one
 * write (on TLS: one record) as soon as the burst has been handled, and not one system call a packet. Frames are
 * written into the block they are sent from; a block is never written to twice.
 */
export class StreamOutbox {
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  /** The run not written yet: whose it is, and where in the block. */
  #socket: Writable | undefined;
  #start = 0;
  #end = 0;
  #scheduled = false;
  readonly #flushLater = () => {
    this.#scheduled = false;
    this.flush();
  };

  /** Bytes of `socket` that wait here. */
  waiting(socket: Writable): number {
    return this.#socket === socket ? this.#end - this.#start : 0;
  }

  /** Room for a frame of at most so many bytes to `socket`, to be written into at once and then sent with `commit`. */
  reserve(socket: Writable, bytes: number): Buffer {
    if (this.#socket !== socket || this.#end - this.#start >= RUN_BYTES) this.flush();
    if (this.#end + bytes > this.#block.length) {
      this.flush();
      this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes));
      this.#start = 0;
      this.#end = 0;
    }
    this.#socket = socket;
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
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    const run = this.#block.subarray(this.#start, this.#end);
    this.#start = this.#end;
    if (run.length > 0 && socket.writable) socket.write(run);
  }
}
