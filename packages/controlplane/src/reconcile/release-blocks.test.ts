import { silentLogger } from '@orama/core/logger';
import { enableWebrtcSchema } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import { sfuRow } from '../../testing/rows.ts';
import type { OperationContext } from '../operations/context.ts';
import { disableWebrtc } from '../operations/disable-webrtc.ts';
import { enableWebrtc } from '../operations/enable-webrtc.ts';
import { createNamespace } from '../operations/namespaces.ts';
import { moveStatements, planMoves } from '../placement/moves.ts';
import { OperationsTask } from '../tasks/operations.ts';
import { StateFilesTask } from '../tasks/state-files.ts';
import { observationsOf } from '../tasks/turn-tenants.ts';
import { joinDesired } from './desired.ts';
import { releaseBlocks } from './release-blocks.ts';
import { Reporter } from './reports.ts';
import { StoreView } from './store-view.ts';

let operations: TestOperations;
let context: OperationContext;

// node-2 dies, and the TURN server of `demo` moves to the node that has none.
beforeEach(async () => {
  operations = new TestOperations();
  context = await operations.connect();
  await operations.addNodes(context, 3);
  await enable('demo');
  await setReachable(false);
  const { store, config } = context;
  const request = {
    namespaces: [{ namespace: 'demo', sfuNodeCount: 1, turnNodeCount: 2 }],
    nodes: await store.nodes.list(),
    allocations: await store.ports.listTaken(),
    ports: { ...config.ports, turnListenPort: 3478, turnTlsPort: 5349 },
    nowMs: 1,
  };
  const [move] = planMoves(request);
  if (!move) throw new Error('nothing moves');
  await store.db.batch(moveStatements(store, move));
  // A second node that planned the same comes too late.
  await expect(store.db.batch(moveStatements(store, move))).rejects.toMatchObject({ code: 'CONFLICT' });
});
afterEach(() => operations.close());

async function enable(name: string): Promise<void> {
  await createNamespace(context, { name, owner: 'operator' });
  await enableWebrtc(context, name, enableWebrtcSchema.parse({ sfuNodeCount: 1, turnNodeCount: 2 }));
}

async function setReachable(reachable: boolean): Promise<void> {
  const { store } = context;
  const node = (await store.nodes.list()).find(({ id }) => id === 'node-2');
  if (node) await store.db.batch([store.nodes.setReachable(node, reachable, 0)]);
}

/** What node-2 does once it is back and its TURN server has these tenants. */
async function reportOfNode2(tenants: Parameters<typeof observationsOf>[2]): Promise<void> {
  const { store } = context;
  const desired = joinDesired(await store.webrtc.list(), await store.ports.listTaken());
  const observations = observationsOf(desired, 'node-2', tenants, '');
  await new Reporter(store).write(observations, 0);
  await releaseBlocks(store, desired, observations);
}

const attached = new Map([['demo', { namespace: 'demo', digest: '', allocations: 0, generation: 1 }]]);
const turnNodes = async () => (await context.store.ports.listOf('demo')).flatMap(nodeOfTurn).sort();
const taken = async () => (await context.store.ports.listTakenBy('demo')).flatMap(nodeOfTurn).sort();
const nodeOfTurn = ({ service, nodeId }: { service: string; nodeId: string }) => (service === 'turn' ? [nodeId] : []);

test('a block that was moved away counts for nobody and stays taken until its own node has seen the service gone', async () => {
  expect(await turnNodes()).toEqual(['node-1', 'node-3']);
  expect(await taken()).toEqual(['node-1', 'node-2', 'node-3']);
  await setReachable(true);
  await enable('other');
  const blocks = (await context.store.ports.listTaken()).flatMap((row) =>
    row.service === 'turn' ? [`${row.hostIp} ${row.relayPortStart}`] : [],
  );
  expect(new Set(blocks).size).toBe(blocks.length);

  for (const tenants of ['unknown' as const, attached]) {
    await reportOfNode2(tenants);
    expect(await taken()).toEqual(['node-1', 'node-2', 'node-3']);
  }
  expect(await context.store.reports.listOf('demo')).toMatchObject([
    { nodeId: 'node-2', desired: 'absent', observed: 'running' },
  ]);
  await reportOfNode2(new Map());
  expect(await taken()).toEqual(['node-1', 'node-3']);
  expect(await context.store.reports.listOf('demo')).toEqual([]);
});

test('a disable waits for the node that the service was moved away from', async () => {
  const { store } = context;
  await disableWebrtc(context, 'demo');
  const task = new OperationsTask({ ...context, logger: silentLogger });
  const absent = { namespace: 'demo', desired: 'absent', observed: 'absent', healthy: false, generation: 1 } as const;
  const rest = { reason: null, details: {}, reportedAtMs: 0 };
  const [operation] = await store.operations.listRunning();
  for (const { name } of operation?.steps ?? []) {
    const [service = '', nodeId = 'cluster'] = name.split(':');
    if (nodeId !== 'node-2') await store.db.batch([store.reports.upsert({ ...absent, ...rest, service, nodeId })]);
  }
  await task.report();
  expect(await store.webrtc.get('demo')).toMatchObject({ state: 'disabling' });
  await reportOfNode2(new Map());
  expect(await taken()).toEqual(['node-1', 'node-2', 'node-3']);
  await task.report();
  expect(await store.webrtc.get('demo')).toMatchObject({ state: 'disabling' });
  const ofNode2 = { ...context, config: { ...context.config, node: 'node-2' } };
  await new StateFilesTask({ ...ofNode2, view: new StoreView(store, 'node-2', context.clock) }).report();
  await task.report();
  expect(await store.webrtc.get('demo')).toBeNull();
  expect(await taken()).toEqual([]);
});

test('nothing is moved to a node that is drained, or lost, since it was planned', async () => {
  const { store } = context;
  const { leavingSinceMs: _, ...to } = sfuRow('demo', 3);
  for (const fate of [`state = 'draining'`, `state = 'active', reachable = 0`]) {
    await store.db.batch([{ sql: `UPDATE nodes SET ${fate} WHERE id = 'node-3'` }]);
    await expect(store.db.batch(moveStatements(store, { from: null, to }))).rejects.toMatchObject({ byGuard: true });
  }
});
