import type { Clock, Logger } from '@orama/core';
import { LogRate } from '../log-rate.ts';

/** Refusals written a second. */
const RATE = { burst: 20, perSec: 5 };

/** Logs refused peers with the rule that refused them, at a rate that a misbehaving client cannot raise. */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #rate: LogRate;
  readonly #byRule = new Map<string, number>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#rate = new LogRate(RATE, clock);
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
    const unwritten = this.#rate.take();
    if (unwritten === undefined) return;
    const { namespace, address, port, ...fields } = peer;
    this.#logger.warn({ ns: namespace, peerAddress: address, peerPort: port, ...fields, unwritten }, 'peer refused');
  }
}
