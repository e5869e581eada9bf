import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { dirname } from 'node:path';
import { closeServer, createInternalServer, Failpoints, VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { type Database, StoreUnavailableError } from '@orama/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { steadyLoad, TestOperations } from '../../testing/node-context.ts';
import { nodePaths } from '../node-context.ts';
import { createNamespace, deleteNamespace } from '../operations/namespaces.ts';
import { UsageTask } from './usage.ts';

const HOUR = 3_600_000;
const NOON = Date.UTC(2026, 10, 21, 12);

/** A TURN server's control socket that tells these counters. */
class TurnStandIn {
  boot = 'boot-1';
  bytes: Record<string, number> = {};
  readonly #socket: string;
  readonly #server: Server;

  constructor(dataDir: string) {
    this.#socket = nodePaths(dataDir).turnControlSocket;
    this.#server = createInternalServer(() => ({ status: 200, body: this.#usage() }), silentLogger);
  }

  async start(): Promise<void> {
    mkdirSync(dirname(this.#socket), { recursive: true });
    rmSync(this.#socket, { force: true });
    this.#server.listen(this.#socket);
    await once(this.#server, 'listening');
  }

  stop(): Promise<void> {
    return closeServer(this.#server);
  }

  #usage() {
    const tenants = Object.entries(this.bytes).map(([namespace, bytes]) => ({
      namespace,
      toPeerBytes: bytes,
      toPeerPackets: Math.ceil(bytes / 1000),
      toClientBytes: 2 * bytes,
      toClientPackets: Math.ceil(bytes / 500),
      allocations: 1,
    }));
    return { boot: this.boot, tenants };
  }
}

let operations: TestOperations;
let context: Awaited<ReturnType<TestOperations['connect']>>;
let clock: VirtualClock;
let turn: TurnStandIn;

beforeEach(async () => {
  operations = new TestOperations();
  context = await operations.connect();
  clock = new VirtualClock(NOON);
  turn = new TurnStandIn(context.config.dataDir);
  await turn.start();
  await createNamespace(context, { name: 'demo', owner: 'operator' });
});
afterEach(async () => {
  await turn.stop();
  await operations.close();
});

const taskOf = (node = 'node-1', store = context.store) =>
  new UsageTask({
    config: { ...context.config, node },
    store,
    clock,
    failpoints: new Failpoints(),
    load: steadyLoad(clock),
  });
/** Runs the task as the engine does, for so long of virtual time. */
async function run(task: UsageTask, ms: number): Promise<void> {
  for (const end = clock.now() + ms; clock.now() < end; )
    clock.advance(Math.min((await task.report()) ?? 2_000, end - clock.now()));
}
/** Bytes from clients, by hour after noon. */
async function hours(namespace = 'demo') {
  const rows = await context.store.usage.listOf(namespace, 0, Number.MAX_SAFE_INTEGER);
  return rows.map((row) => [(row.hourMs - NOON) / HOUR, row.bytesIn]);
}

test('UsageTask writes what was relayed within seconds, both directions and packets', async () => {
  turn.bytes.demo = 1_000;
  await taskOf().report();
  expect(await context.store.usage.listOf('demo', NOON, NOON + 1)).toEqual([
    { namespace: 'demo', hourMs: NOON, bytesIn: 1_000, packetsIn: 1, bytesOut: 2_000, packetsOut: 2, allocations: 1 },
  ]);
});

test('UsageTask reads at the turn of the hour, so that each byte is in the hour it was relayed in', async () => {
  const task = taskOf();
  clock.advance(HOUR - 2_500);
  // Three times before the hour ends, the last time half a second before, and twice after.
  for (let second = 0; second < 5; second += 1) {
    turn.bytes.demo = (turn.bytes.demo ?? 0) + 1_000;
    await run(task, 1_000);
  }
  await run(task, 6_000);
  expect(await hours()).toEqual([
    [0, 3_000],
    [1, 2_000],
  ]);
});

test('after idle hours a controlplane that starts again counts what is relayed in the hour it is relayed in', async () => {
  const task = taskOf();
  turn.bytes.demo = 1_000;
  await task.report();
  for (let hour = 0; hour < 3; hour += 1) {
    clock.advance(HOUR);
    await task.report();
  }
  turn.bytes.demo = 1_500;
  clock.advance(60_000);
  await taskOf().report();
  expect(await hours()).toEqual([
    [0, 1_000],
    [3, 500],
  ]);
});

test('two nodes add to the same hour', async () => {
  turn.bytes.demo = 300;
  await Promise.all([taskOf('node-1').report(), taskOf('node-2').report()]);
  expect(await hours()).toEqual([[0, 600]]);
});

test('a controlplane that starts again goes on where the store is', async () => {
  turn.bytes.demo = 300;
  await taskOf().report();
  turn.bytes.demo = 500;
  await taskOf().report();
  await taskOf().report();
  expect(await hours()).toEqual([[0, 500]]);
});

test('a TURN server that starts again counts from 0, and what it last had before is not lost', async () => {
  const task = taskOf();
  turn.bytes.demo = 300;
  await task.report();
  turn.bytes.demo = 450;
  await run(task, 1_500);
  expect(await hours(), 'not due yet').toEqual([[0, 300]]);
  Object.assign(turn, { boot: 'boot-2', bytes: { demo: 10 } });
  await run(task, 6_000);
  expect(await hours()).toEqual([[0, 460]]);
});

test('what a TURN server last had is written when it is gone', async () => {
  const task = taskOf();
  await task.report();
  turn.bytes.demo = 450;
  await run(task, 1_500);
  await turn.stop();
  await task.report();
  expect(await hours()).toEqual([[0, 450]]);
});

test('hasten() has the last bytes of a detached tenant written with the next run', async () => {
  const task = taskOf();
  await task.report();
  turn.bytes.demo = 77;
  await task.report();
  expect(await hours()).toEqual([]);
  task.hasten();
  await task.report();
  expect(await hours()).toEqual([[0, 77]]);
});

test('a write whose answer is lost is not counted twice, and one that was refused not lost', async () => {
  const { db } = context.store;
  let applied = false;
  const flaky: Database = {
    query: (...args) => db.query(...args),
    endWithin: () => {},
    close: () => db.close(),
    async batch(statements) {
      applied = !applied;
      if (applied) await db.batch(statements);
      throw new StoreUnavailableError('the answer was lost');
    },
  };
  const store = { ...context.store, db: flaky };
  turn.bytes.demo = 100;
  const task = taskOf('node-1', store);
  await expect(task.report()).rejects.toThrow('the answer was lost');
  await task.report();
  expect(await hours()).toEqual([[0, 100]]);
  turn.bytes.demo = 150;
  await expect(run(task, 6_000)).rejects.toThrow('the answer was lost');
  expect(await hours()).toEqual([[0, 100]]);
  await taskOf().report();
  expect(await hours()).toEqual([[0, 150]]);
});

test('a write that began from an older read is refused whole', async () => {
  turn.bytes.demo = 100;
  const { usage, db } = context.store;
  const read = { nodeId: 'node-1', boot: 'boot-1', counters: {}, readAtMs: NOON, sequence: 1 };
  await taskOf().report();
  await expect(db.batch(usage.setTurnRead(read))).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(await usage.turnRead('node-1')).toMatchObject({ counters: { demo: { bytesIn: 100 } } });
});

test('deleting a namespace removes its usage, and one of the same name begins at 0', async () => {
  const task = taskOf();
  turn.bytes.demo = 100;
  await task.report();
  await deleteNamespace(context, 'demo');
  turn.bytes.demo = 120;
  await run(task, 6_000);
  expect(await hours()).toEqual([]);
  await createNamespace(context, { name: 'demo', owner: 'operator' });
  turn.bytes.demo = 125;
  await run(task, 6_000);
  expect(await hours()).toEqual([[0, 5]]);
});
