import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import {
  createStore,
  type Database,
  type Lease,
  migrate,
  SqliteDatabase,
  type Statement,
  type Store,
  StoreUnavailableError,
} from '@orama/store';
import type { NodeContext } from '../src/node-context.ts';
import { LeaseKeeper, type LeaseName } from '../src/reconcile/lease-keeper.ts';
import { Liveness } from '../src/reconcile/liveness.ts';
import { HeartbeatTask } from '../src/tasks/heartbeat.ts';
import { steadyLoad, testConfig } from './node-context.ts';

/** What stands between a node and the store. */
export interface Link {
  /** `reads`: nothing can be written, as on a full disk. */
  passes: 'all' | 'reads' | 'nothing';
  /** How long each call takes, half of it before the store sees it. */
  latencyMs: number;
}

/** The heartbeats and leases of one node: real store, a wall clock of its own. */
export class PulseNode {
  readonly id: string;
  readonly link: Link = { passes: 'all', latencyMs: 0 };
  /** What has to be added to the true time for the node's wall clock. */
  skewMs: number;
  store!: Store;
  leases!: LeaseKeeper;
  #task!: HeartbeatTask;
  readonly #cluster: PulseCluster;
  readonly #number: number;

  constructor(cluster: PulseCluster, number: number, skewMs: number) {
    this.#cluster = cluster;
    this.#number = number;
    this.id = `node-${number}`;
    this.skewMs = skewMs;
    this.restart();
  }

  /** A new process of the node, which knows nothing. */
  restart(): void {
    const { clock, db } = this.#cluster;
    const own: Clock = {
      now: () => clock.now() + this.skewMs,
      // Every process counts from another moment.
      monotonic: () => clock.monotonic() + this.#number * 7_777_777,
      after: (ms, run) => clock.after(ms, run),
      every: (ms, run) => clock.every(ms, run),
    };
    this.store = createStore(linked(db, this.link, clock));
    this.leases = new LeaseKeeper(this.store, this.id, own);
    const config = testConfig(this.#cluster.dir, { node: this.id });
    const load = steadyLoad(own, 0.025);
    const context = { config, store: this.store, clock: own, leases: this.leases, load, logger: silentLogger };
    this.#task = new HeartbeatTask(
      context as NodeContext,
      new Liveness(this.id),
      () => [],
      () => this.register(),
    );
  }

  async register(): Promise<void> {
    await this.store.nodes.register({
      id: this.id,
      name: this.id,
      wireguardIp: `127.91.0.${this.#number}`,
      publicIp: `127.91.1.${this.#number}`,
      region: 'default',
      version: '0',
      lastSeenAtMs: this.#cluster.clock.now() + this.skewMs,
    });
  }

  /** One run of the heartbeat task, and a task that asks for the lease `dns`. */
  async run(): Promise<void> {
    this.leases.held('dns');
    await this.#task.report().catch((thrown: unknown) => {
      if (!(thrown instanceof StoreUnavailableError)) throw thrown;
    });
  }
}

/** Nodes on one store, in a time that the test moves. */
export class PulseCluster {
  readonly clock = new VirtualClock();
  readonly dir = mkdtempSync(join(tmpdir(), 'orama-pulse-'));
  readonly db = new SqliteDatabase(join(this.dir, 'store.sqlite'));
  readonly nodes: PulseNode[] = [];
  /** Nodes whose processes run. */
  readonly running = new Set<PulseNode>();

  /** @param skewsMs by how much each node's wall clock is wrong */
  static async open(skewsMs: readonly number[]): Promise<PulseCluster> {
    const cluster = new PulseCluster();
    await migrate(cluster.db);
    for (const [index, skewMs] of skewsMs.entries()) {
      const node = new PulseNode(cluster, index + 1, skewMs);
      await node.register();
      cluster.nodes.push(node);
      cluster.running.add(node);
    }
    return cluster;
  }

  node(number: number): PulseNode {
    return this.nodes[number - 1] as PulseNode;
  }

  /** Lets time pass, a second at a time, in each of which every running node runs once. */
  async pass(seconds: number, afterEach: () => void | Promise<void> = () => {}): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      this.clock.advance(1_000);
      for (const node of this.running) {
        await node.run();
        this.believers('liveness');
        this.believers('dns');
      }
      await afterEach();
    }
  }

  /** Whole seconds until `holds`. */
  async until(holds: () => Promise<boolean>, mostSeconds = 60): Promise<number> {
    for (let second = 1; second <= mostSeconds; second += 1) {
      await this.pass(1);
      if (await holds()) return second;
    }
    throw new Error(`not within ${mostSeconds} s`);
  }

  /** The lease as the one node has it that may act under it; throws when two nodes may. */
  believers(name: LeaseName): Lease | null {
    const held = this.nodes.flatMap((node) => node.leases.held(name) ?? []);
    if (held.length > 1) throw new Error(`${name} is held by ${held.map(({ holder }) => holder).join(' and ')}`);
    return held[0] ?? null;
  }

  /** Ids of the nodes that the store says are reachable. */
  async reachable(): Promise<string[]> {
    return (await createStore(this.db).nodes.list()).flatMap(({ id, reachable }) => (reachable ? [id] : []));
  }

  async close(): Promise<void> {
    await this.db.close();
    rmSync(this.dir, { recursive: true });
  }
}

function linked(db: Database, link: Link, clock: VirtualClock): Database {
  const call = async <T>(does: 'reads' | 'writes', work: () => Promise<T>): Promise<T> => {
    if (link.passes === 'nothing' || (link.passes === 'reads' && does === 'writes'))
      throw new StoreUnavailableError('the store cannot be reached');
    clock.advance(link.latencyMs / 2);
    const result = await work();
    clock.advance(link.latencyMs / 2);
    return result;
  };
  return {
    query: <Row>(...query: Parameters<Database['query']>) => call('reads', () => db.query<Row>(...query)),
    batch: (statements: Statement[]) => call('writes', () => db.batch(statements)),
    endWithin: () => {},
    close: () => db.close(),
  };
}
