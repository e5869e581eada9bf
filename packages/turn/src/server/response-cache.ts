/** How long an answer is kept for retransmissions of its request (RFC 8489 section 6.2.1: 39.5 s of them). */
const KEEP_MS = 40_000;
/** Answers kept at most; the oldest go first. */
const MAX_ANSWERS = 10_000;

/**
 * Answers to authenticated requests over UDP, so that a retransmitted request gets the same answer and is not done
 * twice (RFC 8489 section 6.3.1). Firefox and lossy networks repeat Allocate.
 */
export class ResponseCache {
  /** In the order of their age. */
  readonly #answers = new Map<string, { answer: Buffer; expiresAtMs: number }>();

  get size(): number {
    return this.#answers.size;
  }

  find(clientId: string, transactionId: Buffer, nowMs: number): Buffer | undefined {
    const found = this.#answers.get(clientId + transactionId.toString('latin1'));
    return found !== undefined && found.expiresAtMs > nowMs ? found.answer : undefined;
  }

  keep(clientId: string, transactionId: Buffer, answer: Buffer, nowMs: number): void {
    if (this.#answers.size >= MAX_ANSWERS) {
      for (const oldest of this.#answers.keys()) {
        this.#answers.delete(oldest);
        break;
      }
    }
    this.#answers.set(clientId + transactionId.toString('latin1'), { answer, expiresAtMs: nowMs + KEEP_MS });
  }

  /** Forgets what no retransmission can ask for any more. */
  sweep(nowMs: number): void {
    for (const [key, { expiresAtMs }] of this.#answers) {
      if (expiresAtMs > nowMs) return;
      this.#answers.delete(key);
    }
  }
}
