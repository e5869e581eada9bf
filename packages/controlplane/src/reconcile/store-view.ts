import type { Clock } from '@orama/core';
import { type DnsRecordRow, readChangeCounter, type ServiceReportRow, type Store } from '@orama/store';
import { type Desired, type DesiredNamespace, loadDesired } from './desired.ts';

/** A view is read anew after so long, whatever the counter says. */
const MAX_AGE_MS = 60_000;

/** Reports by namespace. */
export type Reports = ReadonlyMap<string, readonly ServiceReportRow[]>;

/** What the store said at one moment. The parts that not every task needs are read with the first question for them. */
export class View {
  readonly desired: Desired;
  /** The namespaces that have a block on this node, placed or left. */
  readonly here: readonly DesiredNamespace[];
  readonly #store: Store;
  readonly #nodeId: string;
  #reportsHere: Promise<Reports> | undefined;
  #turnReports: Promise<Reports> | undefined;
  #records: Promise<DnsRecordRow[]> | undefined;

  constructor(store: Store, nodeId: string, desired: Desired) {
    this.#store = store;
    this.#nodeId = nodeId;
    this.desired = desired;
    this.here = [...desired.values()].filter(({ sfu, turn, leaving }) =>
      [sfu, turn, leaving].some((rows) => rows.some((row) => row.nodeId === nodeId)),
    );
  }

  /** Reports of all nodes about the namespaces that are here. */
  reportsHere(): Promise<Reports> {
    this.#reportsHere ??= this.#store.reports.listAround(this.#nodeId).then(byNamespace);
    return this.#reportsHere;
  }

  /** What all nodes report of TURN. */
  turnReports(): Promise<Reports> {
    this.#turnReports ??= this.#store.reports.listOfService('turn').then(byNamespace);
    return this.#turnReports;
  }

  records(): Promise<DnsRecordRow[]> {
    this.#records ??= this.#store.dns.list();
    return this.#records;
  }
}

/**
 * What the store says, for all tasks of a node: it is read again only when the change counter has moved, so that a node
 * at rest reads one number, however many namespaces there are. Everything a view holds is written together with
 * `raiseChangeCounter`.
 */
export class StoreView {
  readonly #store: Store;
  readonly #nodeId: string;
  readonly #clock: Clock;
  #last: { counter: number; atMs: number; view: Promise<View> } | null = null;

  constructor(store: Store, nodeId: string, clock: Clock) {
    this.#store = store;
    this.#nodeId = nodeId;
    this.#clock = clock;
  }

  /** The view of now: the same object while nothing has changed. Throws StoreUnavailableError. */
  async read(): Promise<View> {
    // First: what is written while the tables are read belongs to a later count, and is read again.
    const counter = await readChangeCounter(this.#store.db);
    const now = this.#clock.monotonic();
    const last = this.#last;
    if (last?.counter === counter && now - last.atMs < MAX_AGE_MS) return last.view;
    const view = loadDesired(this.#store).then((desired) => new View(this.#store, this.#nodeId, desired));
    const current = { counter, atMs: now, view };
    this.#last = current;
    view.catch(() => {
      if (this.#last === current) this.#last = null;
    });
    return view;
  }
}

function byNamespace(rows: readonly ServiceReportRow[]): Reports {
  return Map.groupBy(rows, (row) => row.namespace);
}
