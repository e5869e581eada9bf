/** What the workers of a node share of the limit; it can be sent to a thread. */
export interface RelaySocketsMemory {
  readonly max: number;
  /** One place: sockets that are open or being opened. */
  readonly open: Int32Array<SharedArrayBuffer>;
}

/** Memory for a node whose relay may have so many sockets open, of which none is yet. */
export function relaySocketsMemory(max: number): RelaySocketsMemory {
  return { max, open: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) };
}

/** Counts the relay's sockets over all workers of a node, so that they never take every descriptor of the process. */
export class RelaySockets {
  readonly #memory: RelaySocketsMemory;

  constructor(memory: RelaySocketsMemory) {
    this.#memory = memory;
  }

  /**
   * Counts a socket that is about to be opened.
   * @throws Error, and nothing is counted, when the node has as many as it may have
   */
  take(): void {
    const { max, open } = this.#memory;
    if (Atomics.add(open, 0, 1) < max) return;
    this.release();
    throw new Error(
      `${max} relay sockets are open, which is all that the limit of open files leaves; raise LimitNOFILE`,
    );
  }

  /** Takes a socket off again: it is closed, or could not be opened. */
  release(): void {
    Atomics.sub(this.#memory.open, 0, 1);
  }
}
