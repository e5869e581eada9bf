import { isDeepStrictEqual } from 'node:util';
import { raiseChangeCounter, type ServiceReportRow, type Statement, type Store } from '@orama/store';

/** What a task saw of one service of one namespace. */
export type Observation = Omit<ServiceReportRow, 'sinceMs' | 'reportedAtMs'>;

/** Everything is written again after so long, in case the store lost it. */
const WRITE_ALL_MS = 60_000;

/**
 * Stores what a node observes, and only what changed: reports of a cluster at rest cost no writes. Whether a report is
 * current is told by the node's heartbeat, not by the report's own age.
 */
export class Reporter {
  readonly #store: Store;
  readonly #written = new Map<string, Observation>();
  #wroteAllAtMs = Number.NEGATIVE_INFINITY;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Takes all that is observed now. */
  async write(observations: readonly Observation[], nowMs: number): Promise<void> {
    this.#forget(observations);
    const all = nowMs - this.#wroteAllAtMs > WRITE_ALL_MS;
    if (all) this.#wroteAllAtMs = nowMs;
    const changed = observations.filter((one) => all || !isDeepStrictEqual(this.#written.get(keyOf(one)), one));
    if (changed.length === 0) return;
    const statements: Statement[] = changed.map((one) => this.#store.reports.upsert({ ...one, reportedAtMs: nowMs }));
    // Counters such as allocations move all the time; only a change of state is news to the other nodes.
    const isNews = changed.some((one) => {
      const before = this.#written.get(keyOf(one));
      return !before || !isDeepStrictEqual({ ...before, details: {} }, { ...one, details: {} });
    });
    await this.#store.db.batch(isNews ? [...statements, raiseChangeCounter] : statements);
    for (const one of changed) this.#written.set(keyOf(one), one);
  }

  /** What is not observed any more has been removed with the settings or the block. */
  #forget(observations: readonly Observation[]): void {
    const kept = new Set(observations.map(keyOf));
    for (const key of this.#written.keys()) if (!kept.has(key)) this.#written.delete(key);
  }
}

function keyOf(one: Observation): string {
  return `${one.nodeId} ${one.service} ${one.namespace}`;
}
