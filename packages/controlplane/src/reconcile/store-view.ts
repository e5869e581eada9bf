import type { Clock } from '@orama/core';
import {
  type DnsRecordRow,
  type InvitationRow,
  type NodeRow,
  readChangeCounter,
  type ServiceReportRow,
  type Store,
  type TakenBlockRow,
  type WebrtcConfigRow,
} from '@orama/store';
import { type Desired, joinDesired } from './desired.ts';

/** A view is read anew after so long, whatever the counter says. */
const MAX_AGE_MS = 60_000;

/** Reports by namespace. */
export type Reports = ReadonlyMap<string, readonly ServiceReportRow[]>;

/** What the store said at one moment. The parts that not every task needs are read with the first question for them. */
export class View {
  readonly configs: readonly WebrtcConfigRow[];
  /** Every block that is taken. */
  readonly allocations: readonly TakenBlockRow[];
  readonly desired: Desired;
  /** The namespaces that have a block on this node, placed or left. */
  readonly here: Desired;
  /** The change counter: of two views the later one has the higher. */
  readonly counter: number;
  readonly #store: Store;
  readonly #nodeId: string;
  readonly #parts = new Map<string, Promise<unknown>>();

  constructor(
    store: Store,
    nodeId: string,
    counter: number,
    configs: readonly WebrtcConfigRow[],
    allocations: readonly TakenBlockRow[],
  ) {
    this.#store = store;
    this.#nodeId = nodeId;
    this.counter = counter;
    this.configs = configs;
    this.allocations = allocations;
    this.desired = joinDesired(configs, allocations);
    const here = new Set(allocations.flatMap((row) => (row.nodeId === nodeId ? [row.namespace] : [])));
    this.here = new Map([...this.desired].filter(([namespace]) => here.has(namespace)));
  }

  /** Reports of all nodes about the namespaces that are here. */
  reportsHere(): Promise<Reports> {
    return this.#once('reportsHere', async () =>
      Map.groupBy(await this.#store.reports.listAround(this.#nodeId), (row) => row.namespace),
    );
  }

  /** What all nodes report of TURN. */
  turnReports(): Promise<ServiceReportRow[]> {
    return this.#once('turnReports', () => this.#store.reports.listOfService('turn'));
  }

  records(): Promise<DnsRecordRow[]> {
    return this.#once('records', () => this.#store.dns.list());
  }

  /** All nodes; their heartbeats and load are not of now. */
  nodes(): Promise<NodeRow[]> {
    return this.#once('nodes', () => this.#store.nodes.list());
  }

  invitations(): Promise<InvitationRow[]> {
    return this.#once('invitations', () => this.#store.invitations.list());
  }

  #once<T>(name: string, read: () => Promise<T>): Promise<T> {
    const known = this.#parts.get(name) as Promise<T> | undefined;
    if (known) return known;
    const part = read();
    this.#parts.set(name, part);
    part.catch(() => this.#parts.delete(name));
    return part;
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
    const view = this.#load(counter);
    const current = { counter, atMs: now, view };
    this.#last = current;
    view.catch(() => {
      if (this.#last === current) this.#last = null;
    });
    return view;
  }

  /**
   * Settings come first: should a disable end or an enable commit between the two reads, then blocks are seen without
   * the settings that make them wanted, and nothing is started on them.
   */
  async #load(counter: number): Promise<View> {
    const configs = await this.#store.webrtc.list();
    return new View(this.#store, this.#nodeId, counter, configs, await this.#store.ports.listTaken());
  }
}
