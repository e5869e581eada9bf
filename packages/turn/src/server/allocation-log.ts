import { type Clock, describeError } from '@orama/core';
import type { Allocation, EndReason } from '../allocation/allocation.ts';
import { LogRate } from '../log-rate.ts';
import type { TenantLog } from './tenant-log.ts';

/** Lines written a second; a call costs two. */
const RATE = { burst: 200, perSec: 20 };

/** Logs what becomes of allocations, at a rate that nobody with a credential can raise. */
export class AllocationLog {
  readonly #log: TenantLog;
  readonly #clock: Clock;
  readonly #rate: LogRate;

  constructor(log: TenantLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#rate = new LogRate(RATE, clock);
  }

  opened(allocation: Allocation): void {
    const unwritten = this.#rate.take();
    if (unwritten === undefined) return;
    const relayAddresses = [...allocation.port.addresses];
    const fields = { ...namesOf(allocation), relayAddresses, ...more(unwritten) };
    this.#log.write('info', allocation.namespace, fields, 'allocation opened');
  }

  ended(allocation: Allocation, reason: EndReason): void {
    const unwritten = this.#rate.take();
    if (unwritten === undefined) return;
    const durMs = Math.round(this.#clock.monotonic() - allocation.createdAtMs);
    const fields = { ...namesOf(allocation), reason, durMs, ...allocation.port.counters, ...more(unwritten) };
    this.#log.write('info', allocation.namespace, fields, 'allocation ended');
  }

  /** A relay port that the tenant's block names and the system refuses. */
  notBound(namespace: string, address: string, port: number, thrown: unknown): void {
    const unwritten = this.#rate.take();
    if (unwritten === undefined) return;
    const fields = { relayAddress: address, relayPort: port, err: describeError(thrown), ...more(unwritten) };
    this.#log.write('warn', namespace, fields, 'relay port cannot be bound');
  }
}

function namesOf({ id, client, port }: Allocation) {
  return { alloc: id, transport: client.protocol, relayPort: port.port };
}

/** Lines since the last one that were not written. */
function more(unwritten: number): { unwritten?: number } {
  return unwritten === 0 ? {} : { unwritten };
}
