import { systemClock } from '@orama/core';
import { enableWebrtcSchema } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import type { DnsRecord, DnsWriter } from '../dns/writer.ts';
import type { NodeContext } from '../node-context.ts';
import type { OperationContext } from '../operations/context.ts';
import { enableWebrtc } from '../operations/enable-webrtc.ts';
import { createNamespace } from '../operations/namespaces.ts';
import { LeaseKeeper, type LeaseName } from '../reconcile/lease-keeper.ts';
import { StoreView } from '../reconcile/store-view.ts';
import { DnsTask } from './dns.ts';
import { MovesTask } from './moves.ts';

// What one node alone may do, planned by a holder whose lease another node takes before it is done.
let operations: TestOperations;
let context: OperationContext;
let node: NodeContext;

beforeEach(async () => {
  operations = new TestOperations();
  context = await operations.connect();
  const { store } = context;
  await operations.addNodes(context, 3);
  await createNamespace(context, { name: 'demo', owner: 'operator' });
  await enableWebrtc(context, 'demo', enableWebrtcSchema.parse({ sfuNodeCount: 1, turnNodeCount: 2 }));
  const leases = new LeaseKeeper(store, 'node-1', systemClock);
  const view = new StoreView(store, 'node-1', systemClock);
  node = { ...context, leases, view } as unknown as NodeContext;
});
afterEach(() => operations.close());

async function hold(name: LeaseName): Promise<void> {
  node.leases.held(name);
  await node.leases.round([]);
  expect(node.leases.held(name)).not.toBeNull();
}

async function lose(name: LeaseName): Promise<void> {
  const { leases } = context.store;
  const seen = (await leases.list()).find((row) => row.name === name);
  expect(await leases.take(name, 'node-3', seen, 0)).not.toBeNull();
}

test('MovesTask moves nothing under a lease that another node has taken since it planned', async () => {
  const { store } = context;
  await store.db.batch([{ sql: `UPDATE nodes SET reachable = 0 WHERE id = 'node-2'` }]);
  await hold('placement');
  const task = new MovesTask(node);
  const [move] = await task.plan();
  if (!move) throw new Error('nothing moves');
  const before = await store.ports.listTaken();
  await lose('placement');
  await expect(task.apply(move)).rejects.toMatchObject({ code: 'CONFLICT', byGuard: true });
  expect(await store.ports.listTaken()).toEqual(before);
  expect(node.leases.held('placement')).toBeNull();
  expect(await task.plan()).toEqual([]);
});

test('DnsTask writes no records under a lease that another node has taken since it planned', async () => {
  const { store } = context;
  const report = { nodeId: 'node-2', namespace: 'demo', service: 'turn', generation: 1, reason: null, details: {} };
  await store.db.batch([
    store.reports.upsert({ ...report, desired: 'running', observed: 'running', healthy: true, reportedAtMs: 1 }),
  ]);
  await hold('dns');
  const writer: DnsWriter = { onEveryNode: false, isCurrent: async () => true, write: async () => {} };
  const task = new DnsTask(node, writer);
  const [change] = await task.plan();
  if (!change) throw new Error('no record changes');
  await lose('dns');
  await expect(task.apply(change)).rejects.toMatchObject({ code: 'CONFLICT', byGuard: true });
  expect(await store.dns.list()).toEqual([]);
  expect(node.leases.held('dns')).toBeNull();
  expect(await task.plan()).toEqual([]);
});

test.each([true, false])(
  'DnsTask has what is served follow the store without the lease: on every node %s',
  async (onEveryNode) => {
    const written: (readonly DnsRecord[])[] = [];
    let of: readonly string[] = [];
    const writer: DnsWriter = {
      onEveryNode,
      isCurrent: async () => false,
      write: async (records, nodeAddresses) => {
        written.push(records);
        of = nodeAddresses;
      },
    };
    const task = new DnsTask(node, writer);
    for (const action of await task.plan()) await task.apply(action);
    expect(written.map((records) => records.length > 0)).toEqual(onEveryNode ? [true] : []);
    const nodes = await context.store.nodes.list();
    expect(of).toEqual(onEveryNode ? nodes.map(({ publicIp }) => publicIp) : []);
    expect(await context.store.dns.list()).toEqual([]);
  },
);
