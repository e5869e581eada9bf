/** How long an answer is kept for retransmissions of its request (RFC 8489 section 6.2.1: 39.5 s of them). */
const KEEP_MS = 40_000;
/** Answers kept at most; the oldest go first. */
const MAX_ANSWERS = 10_000;

/** A request that has come: its answer, or `undefined` while that is being made. */
interface Entry {
  readonly answer: Buffer | undefined;
  readonly expiresAtMs: number;
}

/**
 * Answers to authenticated requests over UDP, so that a retransmitted request gets the same answer and is not done
 * twice (RFC 8489 section 6.3.1), not while the first copy is being done either. Firefox and lossy networks repeat
 * Allocate.
 */
export class ResponseCache {
  /** In the order of their age. */
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** The answer to an earlier copy of the request, `pending` while it is being made, undefined when there was none. */
  find(clientId: string, transactionId: Buffer, nowMs: number): Buffer | 'pending' | undefined {
    const found = this.#entries.get(keyOf(clientId, transactionId));
    return found !== undefined && found.expiresAtMs > nowMs ? (found.answer ?? 'pending') : undefined;
  }

  /** Remembers that a request is being done. `keep` must follow. */
  begin(clientId: string, transactionId: Buffer, nowMs: number): void {
    this.#put(keyOf(clientId, transactionId), { answer: undefined, expiresAtMs: nowMs + KEEP_MS });
  }

  keep(clientId: string, transactionId: Buffer, answer: Buffer, nowMs: number): void {
    this.#put(keyOf(clientId, transactionId), { answer, expiresAtMs: nowMs + KEEP_MS });
  }

  /** Forgets what no retransmission can ask for any more. */
  sweep(nowMs: number): void {
    for (const [key, { expiresAtMs }] of this.#entries) {
      if (expiresAtMs > nowMs) return;
      this.#entries.delete(key);
    }
  }

  #put(key: string, entry: Entry): void {
    // Put anew, so that the order stays that of age.
    this.#entries.delete(key);
    if (this.#entries.size >= MAX_ANSWERS) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    this.#entries.set(key, entry);
  }
}

function keyOf(clientId: string, transactionId: Buffer): string {
  return clientId + transactionId.toString('latin1');
}
