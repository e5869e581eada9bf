import { type Clock, describeError, type Logger } from '@orama/core';
import type { Allocation, EndReason } from '../allocation/allocation.ts';
import { LogRate } from '../log-rate.ts';

/** Lines written a second; a call costs two. */
const RATE = { burst: 200, perSec: 20 };

/** Logs what becomes of allocations, at a rate that nobody with a credential can raise. */
export class AllocationLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #rate: LogRate;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
    this.#rate = new LogRate(RATE, clock);
  }

  opened(allocation: Allocation): void {
    const unwritten = this.#rate.take();
    if (unwritten === undefined) return;
    const relayAddresses = [...allocation.port.addresses];
    this.#logger.info({ ...namesOf(allocation), relayAddresses, ...more(unwritten) }, 'allocation opened');
  }

  ended(allocation: Allocation, reason: EndReason): void {
    const unwritten = this.#rate.take();
    if (unwritten === undefined) return;
    const durMs = Math.round(this.#clock.monotonic() - allocation.createdAtMs);
    this.#logger.info(
      { ...namesOf(allocation), reason, durMs, ...allocation.port.counters, ...more(unwritten) },
      'allocation ended',
    );
  }

  /** A relay port that the tenant's block names and the system refuses. */
  notBound(namespace: string, address: string, port: number, thrown: unknown): void {
    const unwritten = this.#rate.take();
    if (unwritten === undefined) return;
    this.#logger.warn(
      { ns: namespace, relayAddress: address, relayPort: port, err: describeError(thrown), ...more(unwritten) },
      'relay port cannot be bound',
    );
  }
}

function namesOf({ namespace, id, client, port }: Allocation) {
  return { ns: namespace, alloc: id, transport: client.protocol, relayPort: port.port };
}

/** Lines since the last one that were not written. */
function more(unwritten: number): { unwritten?: number } {
  return unwritten === 0 ? {} : { unwritten };
}
