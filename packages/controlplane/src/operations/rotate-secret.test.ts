import { Failpoints, VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { enableWebrtcSchema, rotateSecretSchema } from '@orama/protocol';
import { type PortAllocationRow, readChangeCounter } from '@orama/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import { webrtcStatusOf } from '../api/webrtc-status.ts';
import { openTurnSecrets } from '../reconcile/desired.ts';
import { OperationsTask } from '../tasks/operations.ts';
import type { OperationContext } from './context.ts';
import { disableWebrtc } from './disable-webrtc.ts';
import { enableWebrtc } from './enable-webrtc.ts';
import { createNamespace } from './namespaces.ts';
import { rotateSecret } from './rotate-secret.ts';

const TTL_MS = 600_000;
let operations: TestOperations;
let context: OperationContext & { clock: VirtualClock };
let follower: OperationsTask;

beforeEach(async () => {
  operations = new TestOperations();
  context = { ...(await operations.connect()), clock: new VirtualClock(Date.now()) };
  await operations.addNodes(context, 3);
  await createNamespace(context, { name: 'demo', owner: 'operator' });
  const { operation } = await enableWebrtc(context, 'demo', enableWebrtcSchema.parse({}));
  const { store } = context;
  await store.db.batch([store.webrtc.markEnabled('demo', 1), store.operations.finish(operation?.id ?? '', 'done', 1)]);
  follower = new OperationsTask({
    ...context,
    logger: silentLogger,
    failpoints: new Failpoints(),
  });
});
afterEach(() => operations.close());

const rotate = (force = false, own: OperationContext = context) =>
  rotateSecret(own, 'demo', rotateSecretSchema.parse({ force }));

async function secrets() {
  const row = await context.store.webrtc.get('demo');
  const opened = row && openTurnSecrets(row, context.secrets, context.clock.now());
  if (!opened) throw new Error('no secrets');
  return opened;
}

/** Lets the services report that they run with the settings as they are now, then follows the operations. */
async function report(
  service: 'turn' | 'sfu',
  accept: (row: PortAllocationRow) => boolean = () => true,
): Promise<void> {
  const { store, clock } = context;
  const generation = (await store.webrtc.get('demo'))?.generation ?? 0;
  const rows = (await store.ports.listOf('demo')).filter((row) => row.service === service && accept(row));
  const seen = { namespace: 'demo', service, desired: 'running', observed: 'running', healthy: true } as const;
  const told = { generation, reason: null, details: {}, reportedAtMs: clock.now() };
  await store.db.batch(rows.map(({ nodeId }) => store.reports.upsert({ nodeId, ...seen, ...told })));
  await follower.report();
}

/** A whole rotation. */
async function rotated(force = false): Promise<void> {
  await rotate(force);
  await report('turn');
  await report('sfu');
}

test('credentials are made of the new secret only once every TURN server knows it', async () => {
  const before = await secrets();
  const counter = await readChangeCounter(context.store.db);
  const { operation, outcome } = await rotate();
  expect(outcome).toBe('started');
  expect(operation?.steps.map(({ name }) => name)).toEqual([
    ...['turn:node-1', 'turn:node-2', 'sfu:node-1', 'sfu:node-2', 'sfu:node-3'],
  ]);
  expect(await readChangeCounter(context.store.db)).toBeGreaterThan(counter);
  const announced = await secrets();
  expect(announced).toMatchObject({ current: before.current, retired: [] });
  expect(announced.valid).toHaveLength(2);

  const [first] = (await context.store.ports.listOf('demo')).filter(({ service }) => service === 'turn');
  await report('turn', ({ nodeId }) => nodeId === first?.nodeId);
  expect((await secrets()).current).toBe(before.current);
  await report('turn');
  const [current, former] = announced.valid.toReversed();
  expect(await secrets()).toEqual({ current, valid: [current, former], retired: [] });
});

test('the former secret makes allocations for one credential life after the last SFU has the new one, then goes on for its calls', async () => {
  const { current: former } = await secrets();
  await rotate();
  await report('turn');
  context.clock.advance(30_000);
  await report('turn');
  expect(await context.store.operations.runningOf('demo')).not.toBeNull();
  await report('sfu');
  expect(await context.store.operations.runningOf('demo')).toBeNull();
  context.clock.advance(TTL_MS);
  expect((await secrets()).valid).toContain(former);
  context.clock.advance(2_000);
  expect(await secrets()).toMatchObject({ retired: [former] });
  expect((await secrets()).valid).not.toContain(former);
});

test('rotateSecret while credentials of the last rotation are valid says until when, and changes nothing unless forced', async () => {
  const { current: first } = await secrets();
  await rotated();
  const { current: second } = await secrets();
  const row = await context.store.webrtc.get('demo');
  const until = new Date(row?.previousSecretExpiresAtMs ?? 0).toISOString();
  await expect(rotate()).rejects.toMatchObject({ code: 'CONFLICT', details: { validUntil: until } });
  expect(await context.store.webrtc.get('demo')).toEqual(row);
  await rotate(true);
  expect(await secrets()).toMatchObject({ current: second, retired: [first] });
  await report('turn');
  expect(await secrets()).toMatchObject({ valid: [expect.anything(), second], retired: [first] });
});

test('calls of five secrets back go on; those before are given up', async () => {
  const all: string[] = [];
  for (let round = 0; round < 6; round++) {
    all.unshift((await secrets()).current);
    await rotated();
    context.clock.advance(TTL_MS + 2_000);
  }
  expect((await secrets()).retired).toEqual(all.slice(0, 4));
});

test('rotateSecret of several shells at once is one rotation', async () => {
  const others = await Promise.all(Array.from({ length: 3 }, () => operations.connect()));
  const outcomes = await Promise.all(others.map((own) => rotate(false, own)));
  expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['resumed', 'resumed', 'started']);
  expect(new Set(outcomes.map(({ operation }) => operation?.id)).size).toBe(1);
});

test('rotateSecret refuses what is not enabled; a disable ends a rotation, and enabling beside one is nothing new', async () => {
  await createNamespace(context, { name: 'off', owner: 'operator' });
  const off = rotateSecret(context, 'off', rotateSecretSchema.parse({}));
  await expect(off).rejects.toMatchObject({ code: 'WEBRTC_NOT_ENABLED' });
  const { operation } = await rotate();
  expect(await enableWebrtc(context, 'demo', enableWebrtcSchema.parse({}))).toMatchObject({ outcome: 'unchanged' });
  await disableWebrtc(context, 'demo');
  expect(await context.store.operations.get(operation?.id ?? '')).toMatchObject({ state: 'failed' });
  await expect(rotate()).rejects.toMatchObject({ code: 'NAMESPACE_BUSY' });
});

test('webrtc-status shows a rotation and until when the former secret is valid; the audit trail has its begin and its end', async () => {
  const { store, clock, config } = context;
  const status = async () => {
    const none = { dns: [], rooms: 0, reports: [], nodes: [], allocations: [], nowMs: clock.now() };
    const operation = await store.operations.runningOf('demo');
    return webrtcStatusOf(config, { namespace: 'demo', settings: await store.webrtc.get('demo'), operation, ...none });
  };
  await rotate();
  expect((await status()).operation).toMatchObject({ kind: 'rotate-secret' });
  await report('turn');
  await report('sfu');
  const { formerSecretValidUntil } = await status();
  expect(Date.parse(formerSecretValidUntil ?? '') - clock.now()).toBeGreaterThanOrEqual(TTL_MS);
  clock.advance(TTL_MS + 2_000);
  expect(await status()).not.toHaveProperty('formerSecretValidUntil');
  const lines = await store.db.query(`SELECT result FROM audit WHERE action = 'rotate-secret' ORDER BY rowid`);
  expect(lines).toEqual([{ result: 'begun' }, { result: 'done' }]);
});
