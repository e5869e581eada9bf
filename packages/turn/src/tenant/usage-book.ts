import type { TurnTenantUsage } from '@orama/protocol';
import { addTraffic, noTraffic } from '../relay/relay.ts';

/** Namespaces remembered after they were detached; the one that has been away longest is forgotten first. */
const DETACHED_MAX = 10_000;

interface Account {
  /** What attachments that have ended have done. */
  readonly finished: TurnTenantUsage;
  /** What the workers have told of the attachment that lives. */
  readonly live: Map<number, TurnTenantUsage>;
  /** Workers that have detached it: what they said before may come late, and is in `finished`. */
  readonly gone: Set<number>;
}

/** What every namespace has relayed since the server started. Sums only grow: workers tell totals, in order. */
export class UsageBook {
  readonly #accounts = new Map<string, Account>();
  readonly #detached = new Set<string>();
  readonly #detachedMax: number;

  constructor(detachedMax = DETACHED_MAX) {
    this.#detachedMax = detachedMax;
  }

  /** Notes that a namespace has been attached. */
  open(namespace: string): void {
    if (this.#detached.delete(namespace)) this.#accounts.get(namespace)?.gone.clear();
    if (!this.#accounts.has(namespace)) {
      this.#accounts.set(namespace, { finished: noUsage(namespace), live: new Map(), gone: new Set() });
    }
  }

  /** Takes what a worker says a namespace has done there since it was attached. */
  told(worker: number, usage: TurnTenantUsage): void {
    const account = this.#accounts.get(usage.namespace);
    if (account?.gone.has(worker) === false) account.live.set(worker, usage);
  }

  /** Takes the last of it: the worker has detached the namespace. */
  ended(worker: number, usage: TurnTenantUsage): void {
    const account = this.#accounts.get(usage.namespace);
    if (account === undefined) return;
    account.live.delete(worker);
    account.gone.add(worker);
    addUsage(account.finished, usage);
  }

  /** Notes that a namespace has been detached from every worker. */
  close(namespace: string): void {
    this.#detached.add(namespace);
    if (this.#detached.size <= this.#detachedMax) return;
    for (const oldest of this.#detached) {
      this.#detached.delete(oldest);
      this.#accounts.delete(oldest);
      return;
    }
  }

  /** The sums as they are known now. */
  list(): TurnTenantUsage[] {
    return Array.from(this.#accounts.values(), ({ finished, live }) => {
      const total = { ...finished };
      for (const usage of live.values()) addUsage(total, usage);
      return total;
    });
  }
}

function noUsage(namespace: string): TurnTenantUsage {
  return { namespace, ...noTraffic(), allocations: 0 };
}

function addUsage(total: TurnTenantUsage, more: TurnTenantUsage): void {
  addTraffic(total, more);
  total.allocations += more.allocations;
}
