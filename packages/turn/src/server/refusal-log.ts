import type { Clock } from '@orama/core';
import { LogRate } from '../log-rate.ts';
import type { TenantLog } from './tenant-log.ts';

/** Refusals written a second. */
const RATE = { burst: 20, perSec: 5 };

/** Logs refused peers with the rule that refused them, at a rate that a misbehaving client cannot raise. */
export class RefusalLog {
  readonly #log: TenantLog;
  readonly #rate: LogRate;
  readonly #byRule = new Map<string, number>();

  constructor(log: TenantLog, clock: Clock) {
    this.#log = log;
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
    this.#log.write('warn', namespace, { peerAddress: address, peerPort: port, ...fields, unwritten }, 'peer refused');
  }
}
