import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, Failpoints, SecretBox, systemClock } from '@orama/core';
import { type ControlplaneConfig, type ControlplaneConfigInput, controlplaneConfigSchema } from '@orama/protocol';
import { createStore, openStore, type Store, TURN_SECRET_PURPOSE } from '@orama/store';
import type { OperationContext } from '../src/operations/context.ts';
import { LoadMeter } from '../src/reconcile/load-meter.ts';

/** A configuration that nothing is started with. */
export function testConfig(dataDir: string, overrides: Partial<ControlplaneConfigInput> = {}): ControlplaneConfig {
  return controlplaneConfigSchema.parse({
    clusterId: 'test',
    node: 'node-1',
    wireguardIp: '127.83.0.1',
    publicIp: '127.83.1.1',
    wireguardNetwork: '127.83.0.0/24',
    baseDomain: 'orama.localhost',
    dataDir,
    clusterKeyFile: join(dataDir, 'cluster.key'),
    store: { driver: 'sqlite', file: join(dataDir, 'store.sqlite') },
    api: {},
    services: {
      manager: 'processes',
      programs: { gateway: ['/bin/false'], turn: ['/bin/false'], sfu: ['/bin/false'] },
    },
    gateway: { listen: { address: '127.0.0.1', port: 6080 } },
    dns: { writer: 'file', file: join(dataDir, 'zone.txt') },
    ...overrides,
  });
}

/** The load of a node whose event loop is always as late as that. */
export function steadyLoad(clock: Clock, delayP99Sec = 0): LoadMeter {
  const load = { delayP50Sec: 0, delayP99Sec, delayMaxSec: 0, utilization: 0 };
  return new LoadMeter(clock, { load, turn() {}, close() {} });
}

/** Operations on a real store, without nodes running: what the nodes report is written by the test. */
export class TestOperations {
  readonly dir = mkdtempSync(join(tmpdir(), 'orama-operations-'));
  readonly config = testConfig(this.dir);
  readonly #stores: Store[] = [];

  /** A context with a connection of its own, as every controlplane has. */
  async connect(): Promise<OperationContext> {
    const store = createStore(await openStore(this.config.store));
    this.#stores.push(store);
    return {
      config: this.config,
      store,
      secrets: new SecretBox('cluster key', TURN_SECRET_PURPOSE),
      clock: systemClock,
      failpoints: new Failpoints(),
    };
  }

  /** Registers `node-1` to `node-<count>` as reachable, with these core services. */
  async addNodes(
    { store }: OperationContext,
    count: number,
    core = [{ service: 'turn', healthy: true }],
  ): Promise<void> {
    for (let number = 1; number <= count; number += 1) {
      const id = `node-${number}`;
      await store.nodes.register({
        id,
        name: id,
        wireguardIp: `127.83.0.${number}`,
        publicIp: `127.83.1.${number}`,
        region: 'default',
        version: '0',
        lastSeenAtMs: Date.now(),
      });
      const beat = store.nodes.heartbeat(id, core, Date.now());
      await store.db.batch([beat, store.nodes.setReachable({ id, beats: 0 }, true, Date.now())]);
    }
  }

  /** The same context, but another operator's `meanwhile` comes between what the next call reads and what it writes. */
  overtaken(context: OperationContext, meanwhile: () => Promise<unknown>): OperationContext {
    const { db } = context.store;
    let before: (() => Promise<unknown>) | null = meanwhile;
    const batch: Store['db']['batch'] = async (statements) => {
      const act = before;
      before = null;
      await act?.();
      return db.batch(statements);
    };
    const overtakenDb = { query: db.query.bind(db), batch, close: db.close.bind(db) } as Store['db'];
    return { ...context, store: { ...context.store, db: overtakenDb } };
  }

  /** The same context, but what is read `weak` comes from a leader of the store that has none of it yet. */
  async behind(context: OperationContext): Promise<OperationContext> {
    const { db } = context.store;
    const former = await openStore({ driver: 'sqlite', file: ':memory:' });
    this.#stores.push(createStore(former));
    const query: Store['db']['query'] = (sql, params, level) => (level === 'weak' ? former : db).query(sql, params);
    return {
      ...context,
      store: createStore({ query, batch: db.batch.bind(db), endWithin: () => {}, close: db.close.bind(db) }),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.db.close()));
    rmSync(this.dir, { recursive: true, force: true });
  }
}
