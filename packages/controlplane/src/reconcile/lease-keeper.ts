import type { Clock } from '@orama/core';
import type { Lease, LeaseRow, LeasesRepository, Statement, StatementResult, Store } from '@orama/store';
import { Stillness } from './stillness.ts';

/** Everything that only one node of the cluster may do. */
export type LeaseName = 'liveness' | 'dns' | 'placement';

/** A lease whose row stood still for so long is taken. */
const TAKE_AFTER_MS = 5_000;
/** A holder believes in its lease for so long after it sent the renewal that came through: it stops before others begin. */
const BELIEVE_MS = 4_000;
/** Looks at the store that are further apart are no watching: meanwhile the others could not write either. */
export const MAX_GAP_MS = 4_000;
/** A lease that nobody asks for any more is neither renewed nor taken, so that a task that hangs loses its own. */
const ASKED_MS = 15_000;

interface Held {
  lease: Lease;
  believedUntilMs: number;
}

/**
 * The leases of a node. Nothing in it depends on what time it is: a lease is held while its renewals come through, and
 * taken when its row has stood still for long enough by this node's own monotonic clock. `round` is to be called about
 * every second.
 */
export class LeaseKeeper {
  readonly #db: Store['db'];
  readonly #leases: LeasesRepository;
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #onTaken: () => void;
  readonly #rows = new Stillness(MAX_GAP_MS);
  readonly #held = new Map<string, Held>();
  readonly #askedAtMs = new Map<LeaseName, number>();
  #takesPart = true;

  /**
   * @param holder id of this node
   * @param onTaken told when there is work that this node alone has to do from now on
   */
  constructor({ db, leases }: Pick<Store, 'db' | 'leases'>, holder: string, clock: Clock, onTaken = () => {}) {
    this.#db = db;
    this.#leases = leases;
    this.#holder = holder;
    this.#clock = clock;
    this.#onTaken = onTaken;
  }

  /**
   * The lease, or null while another node has it or may have it soon. What is written under it has to be guarded with
   * `guardLease`. Asking is what makes the node want it.
   */
  held(name: LeaseName): Lease | null {
    if (!this.#takesPart) return null;
    const now = this.#clock.monotonic();
    this.#askedAtMs.set(name, now);
    const held = this.#held.get(name);
    return held && now < held.believedUntilMs ? held.lease : null;
  }

  /** The store refused work under the lease: it is another's. */
  lost(name: LeaseName): void {
    this.#held.delete(name);
  }

  /**
   * Sends `statements` together with the renewals, then takes what stands still.
   * @returns what `statements` did
   */
  async round(statements: readonly Statement[]): Promise<StatementResult[]> {
    const results = await this.#renew(statements);
    await this.#take();
    return results;
  }

  /** Whether this node is part of the cluster: one that was removed gives everything up, and wants nothing until it joins. */
  async takePart(does: boolean): Promise<void> {
    this.#takesPart = does;
    if (!does) await this.release();
  }

  /** Gives everything up, so that the others need not wait. */
  async release(): Promise<void> {
    const statements = [...this.#held.values()].map(({ lease }) => this.#leases.release(lease));
    this.#held.clear();
    this.#askedAtMs.clear();
    if (statements.length > 0) await this.#db.batch(statements);
  }

  async #renew(statements: readonly Statement[]): Promise<StatementResult[]> {
    const sentAtMs = this.#clock.monotonic();
    const renewed = [...this.#held.values()].filter(({ lease }) => this.#wants(lease.name as LeaseName, sentAtMs));
    const renewals = renewed.map(({ lease }) => this.#leases.renew(lease));
    const results = await this.#db.batch([...statements, ...renewals]);
    for (const [index, { lease }] of renewed.entries()) {
      // Lost, and perhaps told by `lost` while the renewal was on its way.
      if (results[statements.length + index]?.changes === 1 && this.#held.get(lease.name)?.lease === lease)
        this.#held.set(lease.name, { lease, believedUntilMs: sentAtMs + BELIEVE_MS });
      else this.#held.delete(lease.name);
    }
    return results.slice(0, statements.length);
  }

  async #take(): Promise<void> {
    const askedAtMs = this.#clock.monotonic();
    const rows = await this.#leases.list();
    const values = new Map(rows.map((row) => [row.name, `${row.holder} ${row.generation} ${row.renewals}`]));
    const stills = this.#rows.look(values, askedAtMs, this.#clock.monotonic());
    for (const name of this.#askedAtMs.keys()) {
      const row = rows.find((one) => one.name === name);
      const sentAtMs = this.#clock.monotonic();
      if (this.#held.has(name) || !this.#wants(name, sentAtMs)) continue;
      if (!this.#isFree(row, stills.get(name)?.forMs ?? 0)) continue;
      const lease = await this.#leases.take(name, this.#holder, row, this.#clock.now());
      if (!lease) continue;
      this.#held.set(name, { lease, believedUntilMs: sentAtMs + BELIEVE_MS });
      this.#onTaken();
    }
  }

  /** A row with this node as its holder is of the process before this one. */
  #isFree(row: LeaseRow | undefined, stillMs: number): boolean {
    return !row || row.holder === null || row.holder === this.#holder || stillMs >= TAKE_AFTER_MS;
  }

  #wants(name: LeaseName, nowMs: number): boolean {
    return nowMs - (this.#askedAtMs.get(name) ?? Number.NEGATIVE_INFINITY) < ASKED_MS;
  }
}
