import { type Clock, type Logger, TokenBucket } from '@orama/core';

/** Refusals written a second; the rest is counted and told with the next one. */
const RATE = { burst: 20, perSec: 5 };

/** Logs refused peers with the rule that refused them, at a rate that a misbehaving client cannot raise. */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  #unwritten = 0;
  readonly #byRule = new Map<string, number>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
    this.#bucket = new TokenBucket(RATE, clock.monotonic());
  }

  /** Refusals so far, by rule. */
  get byRule(): ReadonlyMap<string, number> {
    return this.#byRule;
  }

  refused(peer: {
    namespace: string;
    alloc: number;
    address: string;
    port?: number;
    rule: string;
    method: string;
  }): void {
    this.#byRule.set(peer.rule, (this.#byRule.get(peer.rule) ?? 0) + 1);
    if (!this.#bucket.take(this.#clock.monotonic())) {
      this.#unwritten++;
      return;
    }
    const { namespace, address, port, ...fields } = peer;
    this.#logger.warn(
      { ns: namespace, peerAddress: address, peerPort: port, ...fields, unwritten: this.#unwritten },
      'peer refused',
    );
    this.#unwritten = 0;
  }
}
