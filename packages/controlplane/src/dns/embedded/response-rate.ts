import { type Clock, KeyedTokenBuckets, sourceKey } from '@orama/core';

/** Answers to one source over UDP: far more than a resolver asks of a zone whose records live for a minute. */
const RATE = { burst: 200, perSec: 50 };
/** Sources told apart. When a flood of forged ones fills the table, those that are new to it get the limit's treatment. */
const MAX_SOURCES = 20_000;

/** What is done with a query: answered, sent to TCP, or passed over. */
export type Verdict = 'answer' | 'slip' | 'drop';

/**
 * Response rate limiting: anybody can ask over UDP in somebody else's name, who then gets the answers. Beyond the rate every
 * second query is answered with "ask over TCP", which is no longer than the query, and which a real client follows.
 */
export class ResponseRate {
  readonly #clock: Clock;
  readonly #buckets = new KeyedTokenBuckets(RATE, MAX_SOURCES);
  #slipped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param address an IPv4 address, or one of an IPv6 /64, which counts as one source */
  take(address: string): Verdict {
    if (this.#buckets.take(sourceKey(address), this.#clock.monotonic())) return 'answer';
    this.#slipped = !this.#slipped;
    return this.#slipped ? 'slip' : 'drop';
  }
}
