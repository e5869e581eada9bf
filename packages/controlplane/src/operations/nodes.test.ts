import { join as joinPath } from 'node:path';
import { drainNodeSchema, enableWebrtcSchema, removeNodeSchema } from '@orama/protocol';
import { StoreUnavailableError } from '@orama/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import type { NodeContext } from '../node-context.ts';
import { HeldUnits } from '../services/held-units.ts';
import { NodeDrainTask } from '../tasks/node-drain.ts';
import type { OperationContext } from './context.ts';
import { disableWebrtc } from './disable-webrtc.ts';
import { enableWebrtc } from './enable-webrtc.ts';
import { createNamespace } from './namespaces.ts';
import { drainNode, readmitNode, removeNode, resumeNode } from './nodes.ts';

let operations: TestOperations;
let context: OperationContext;

beforeEach(async () => {
  operations = new TestOperations();
  context = await operations.connect();
  await operations.addNodes(context, 3);
  await createNamespace(context, { name: 'demo', owner: 'operator' });
  await enableWebrtc(context, 'demo', enableWebrtcSchema.parse({}));
});
afterEach(() => operations.close());

const drain = (id: string, deadlineMs = 60_000, own = context) =>
  drainNode(own, id, drainNodeSchema.parse({ deadlineMs }));
const remove = (id: string, force = false) => removeNode(context, id, removeNodeSchema.parse({ force }));
const resume = (id: string) => resumeNode(context, id, 'operator');
const readmit = (id: string) => readmitNode(context, id, 'operator');
const stateOf = async (id: string) => (await context.store.nodes.list()).find((node) => node.id === id)?.state;
const unreachable = (id: string) =>
  context.store.db.batch([{ sql: 'UPDATE nodes SET reachable = 0 WHERE id = ?', params: [id] }]);

test('removeNode takes it out of the majority of the store before the others let go of it, and stays undone where that fails', async () => {
  const states: unknown[] = [];
  let fails = true;
  context.storeMembers = {
    nodes: () => Promise.reject(new Error('not asked for')),
    removeNode: async (id) => {
      states.push([id, await stateOf(id)]);
      if (fails) throw new StoreUnavailableError('node-3 stays a member of the store');
    },
  };
  await unreachable('node-3');
  await expect(remove('node-3', true)).rejects.toThrow('stays a member');
  expect(await stateOf('node-3')).toBe('active');
  fails = false;
  await remove('node-3', true);
  expect(states).toEqual([
    ['node-3', 'active'],
    ['node-3', 'active'],
  ]);
  expect(await stateOf('node-3')).toBe('gone');
});

test('drainNode begins an operation with a step for everything on the node, and its TURN server', async () => {
  const { operation, outcome } = await drain('node-1');
  expect(outcome).toBe('started');
  expect(operation).toMatchObject({ kind: 'drain-node', node: 'node-1', namespace: null, state: 'running' });
  expect(operation?.steps.map(({ name }) => name)).toEqual(['sfu:demo', 'turn:demo', 'turn-server']);
  expect(await stateOf('node-1')).toBe('draining');
});

test('drainNode of several shells is one drain, with the nearest deadline', async () => {
  const others = await Promise.all(Array.from({ length: 3 }, () => operations.connect()));
  const answers = await Promise.all(others.map((own, index) => drain('node-1', (3 - index) * 60_000, own)));
  expect(answers.map(({ outcome }) => outcome).sort()).toEqual(['resumed', 'resumed', 'started']);
  const { operation } = await drain('node-1', 1_000);
  expect(Date.parse(operation?.deadlineAt ?? '')).toBeLessThan(Date.now() + 2_000);
  const later = await drain('node-1', 600_000);
  expect(later.operation?.deadlineAt).toBe(operation?.deadlineAt);
});

test('drainNode refuses the last node that takes part, and one that is not there', async () => {
  await drain('node-1');
  await unreachable('node-2');
  await expect(drain('node-3')).rejects.toMatchObject({ code: 'NOT_ENOUGH_NODES', message: /demo/ });
  expect(await stateOf('node-3')).toBe('active');
  await expect(drain('node-9')).rejects.toMatchObject({ code: 'NOT_FOUND', hint: expect.stringContaining('node-3') });
});

test('resumeNode ends a drain that runs, and changes nothing about a node that takes part', async () => {
  const { operation } = await drain('node-1');
  expect(await resume('node-1')).toMatchObject({ outcome: 'changed' });
  expect(await stateOf('node-1')).toBe('active');
  expect((await context.store.operations.get(operation?.id ?? ''))?.state).toBe('failed');
  expect(await resume('node-1')).toMatchObject({ outcome: 'unchanged' });
});

test('removeNode refuses while anything is on the node, naming it; by force only one that is unreachable', async () => {
  await expect(remove('node-1')).rejects.toMatchObject({ code: 'CONFLICT', message: /sfu of demo, turn of demo/ });
  await drain('node-1');
  await expect(remove('node-1')).rejects.toMatchObject({ code: 'CONFLICT' });
  await expect(remove('node-1', true)).rejects.toMatchObject({ code: 'CONFLICT', message: /is reachable/ });
  await unreachable('node-1');
  expect(await remove('node-1', true)).toMatchObject({ outcome: 'changed' });
  expect(await remove('node-1')).toMatchObject({ outcome: 'unchanged' });
});

test('a node that was removed is neither drained nor resumed, but may join; one that is drained is resumed instead', async () => {
  await unreachable('node-1');
  await remove('node-1', true);
  for (const refused of [drain('node-1'), resume('node-1')])
    await expect(refused).rejects.toMatchObject({ code: 'CONFLICT', hint: expect.stringContaining('node readmit') });
  const { config } = context;
  const ofMachine = { ...config, store: { driver: 'rqlite' }, services: { manager: 'systemd' } } as typeof config;
  for (const refused of [resumeNode, readmitNode])
    await expect(refused({ ...context, config: ofMachine }, 'node-1', 'operator')).rejects.toMatchObject({
      hint: expect.stringMatching(/^on that machine: orama node leave --force, then orama node join/),
    });
  expect(await readmit('node-1')).toMatchObject({ outcome: 'changed' });
  expect(await readmit('node-1')).toMatchObject({ outcome: 'unchanged' });
  await drain('node-2');
  await expect(readmit('node-2')).rejects.toMatchObject({ code: 'CONFLICT', hint: 'orama node resume node-2' });
});

test('drainNode of the last two nodes at once leaves one that takes part', async () => {
  await unreachable('node-3');
  const own = operations.overtaken(context, () => drain('node-2'));
  await expect(drain('node-1', 60_000, own)).rejects.toMatchObject({ code: 'NOT_ENOUGH_NODES' });
  expect([await stateOf('node-1'), await stateOf('node-2')]).toEqual(['active', 'draining']);
});

test('drainNode has a step for what an enable put on the node at the same moment', async () => {
  await createNamespace(context, { name: 'late', owner: 'operator' });
  const own = operations.overtaken(context, () => enableWebrtc(context, 'late', enableWebrtcSchema.parse({})));
  const { operation } = await drain('node-1', 60_000, own);
  expect(operation?.steps.map(({ name }) => name)).toContain('sfu:late');
});

test('removeNode of a drained node leaves no room there that nobody came back to', async () => {
  const { store, clock } = context;
  const place = { nodeId: 'node-1', internalIp: '127.83.0.1', signalingPort: 30_000 };
  const room = { namespace: 'demo', maxParticipants: 2, maxSpeakers: null, spread: false, metadata: null, nowMs: 1 };
  await store.rooms.create({ ...room, roomId: 'made' });
  for (const [roomId, seenGeneration] of [
    ['joined', null],
    ['made', 1],
  ] as const)
    await store.rooms.claim({ namespace: 'demo', roomId, place, seenGeneration, nowMs: 1 });
  await drain('node-1');
  const left = (await store.ports.listTaken()).filter(({ nodeId }) => nodeId === 'node-1');
  await store.db.batch(left.flatMap((row) => [store.ports.leave(row, clock.now()), ...store.ports.release(row)]));
  await remove('node-1');
  expect((await store.rooms.listOf('demo')).map(({ roomId, place }) => ({ roomId, place }))).toEqual([
    { roomId: 'made', place: null },
  ]);
});

test('what is begun is handed back, and a drained TURN server has its time, while a leader of the store is behind', async () => {
  const late = await operations.behind(context);
  await createNamespace(late, { name: 'late', owner: 'operator' });
  expect(await enableWebrtc(late, 'late', enableWebrtcSchema.parse({}))).toMatchObject({
    operation: { kind: 'enable-webrtc' },
  });
  expect(await disableWebrtc(late, 'late')).toMatchObject({ operation: { kind: 'disable-webrtc' } });
  expect(await drain('node-1', 60_000, late)).toMatchObject({ outcome: 'started', operation: { kind: 'drain-node' } });
  expect(await drain('node-1', 60_000, late)).toMatchObject({ outcome: 'resumed' });
  await context.store.db.batch([{ sql: `DELETE FROM webrtc_port_allocations WHERE node_id = 'node-1'` }]);
  const held = new HeldUnits(joinPath(operations.dir, 'held.json'));
  const [action] = await new NodeDrainTask(late as unknown as NodeContext, held, () => {}).plan();
  expect(action).toMatchObject({ kind: 'node-drain', deadlineMs: expect.closeTo(60_000, -4) });
});
