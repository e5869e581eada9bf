import { enableWebrtcSchema, type TurnSettingsChange, turnSettingsChangeSchema } from '@orama/protocol';
import { readChangeCounter } from '@orama/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import type { OperationContext } from './context.ts';
import { disableWebrtc } from './disable-webrtc.ts';
import { enableWebrtc } from './enable-webrtc.ts';
import { createNamespace } from './namespaces.ts';
import { changeTurnSettings } from './turn-settings.ts';

let operations: TestOperations;
let context: OperationContext;

beforeEach(async () => {
  operations = new TestOperations();
  context = await operations.connect();
  await operations.addNodes(context, 3);
  await createNamespace(context, { name: 'demo', owner: 'operator' });
});
afterEach(() => operations.close());

/** Enables `demo`, as far as the store knows. */
async function enable(turn = {}): Promise<void> {
  const { operation } = await enableWebrtc(context, 'demo', enableWebrtcSchema.parse({ turn }));
  const { store } = context;
  await store.db.batch([store.webrtc.markEnabled('demo', 1), store.operations.finish(operation?.id ?? '', 'done', 1)]);
}
const change = (changes: Partial<TurnSettingsChange>, own = context) =>
  changeTurnSettings(own, 'demo', turnSettingsChangeSchema.parse(changes));

test('enableWebrtc begins with the settings that are given, and all relay ports otherwise', async () => {
  await enable({ peerPolicy: 'public', bytesPerSec: 500_000 });
  expect(await context.store.webrtc.get('demo')).toMatchObject({
    peerPolicy: 'public',
    bytesPerSec: 500_000,
    maxAllocations: 800,
    maxAllocationsPerUsername: 400,
    allocationBytesPerSec: null,
    generation: 1,
  });
});

test('changeTurnSettings changes what is given, raises the generation, and leaves the SFUs their own', async () => {
  await enable({ bytesPerSec: 500_000 });
  const before = await readChangeCounter(context.store.db);
  expect(await change({ maxAllocations: 20, bytesPerSec: null })).toMatchObject({
    outcome: 'changed',
    generation: 2,
    settings: { peerPolicy: 'sfu', maxAllocations: 20, bytesPerSec: null },
  });
  expect(await context.store.webrtc.get('demo')).toMatchObject({
    maxAllocations: 20,
    bytesPerSec: null,
    generation: 2,
  });
  expect(await readChangeCounter(context.store.db)).toBeGreaterThan(before);
  const [line] = await context.store.db.query<{ result: string }>(
    `SELECT result FROM audit WHERE action = 'set-webrtc'`,
  );
  expect(line?.result).toBe('maxAllocations=20 maxAllocationsPerUsername=10 bytesPerSec=none');
});

test('changeTurnSettings writes nothing when the settings are so already', async () => {
  await enable();
  expect(await change({ peerPolicy: 'sfu' })).toMatchObject({ outcome: 'unchanged', generation: 1 });
  expect(await context.store.db.query(`SELECT 1 FROM audit WHERE action = 'set-webrtc'`)).toEqual([]);
});

test('changeTurnSettings from several controlplanes at once loses no change', async () => {
  await enable();
  const others = await Promise.all(Array.from({ length: 3 }, () => operations.connect()));
  const [a, b, c] = others as [OperationContext, OperationContext, OperationContext];
  await Promise.all([
    change({ peerPolicy: 'public' }, a),
    change({ maxAllocations: 30 }, b),
    change({ allocationBytesPerSec: 10_000 }, c),
  ]);
  expect(await context.store.webrtc.get('demo')).toMatchObject({
    peerPolicy: 'public',
    maxAllocations: 30,
    allocationBytesPerSec: 10_000,
    generation: 4,
  });
});

test('more allocations than relay ports are refused by name, at enable and later', async () => {
  const refusal = { code: 'INVALID_REQUEST', message: expect.stringContaining('maxAllocations is 801') };
  await expect(enable({ maxAllocations: 801 })).rejects.toMatchObject(refusal);
  expect(await context.store.webrtc.list()).toEqual([]);
  await enable();
  await expect(change({ maxAllocations: 801 })).rejects.toMatchObject(refusal);
});

test('what one username may have goes with maxAllocations until it is said, and null brings both back', async () => {
  await enable({ maxAllocations: 100 });
  expect(await context.store.webrtc.get('demo')).toMatchObject({ maxAllocationsPerUsername: 50 });
  expect(await change({ maxAllocations: 7 })).toMatchObject({ settings: { maxAllocationsPerUsername: 4 } });
  await change({ maxAllocationsPerUsername: 6 });
  expect(await change({ maxAllocations: 20 })).toMatchObject({ settings: { maxAllocationsPerUsername: 6 } });
  expect(await change({ maxAllocations: null })).toMatchObject({
    settings: { maxAllocations: 800, maxAllocationsPerUsername: 6 },
  });
  expect(await change({ maxAllocationsPerUsername: null })).toMatchObject({
    settings: { maxAllocationsPerUsername: 400 },
  });
});

test('more allocations for one username than for all are refused by name', async () => {
  await enable({ maxAllocations: 2, maxAllocationsPerUsername: 2 });
  const message = expect.stringMatching(/maxAllocationsPerUsername is \d+, but maxAllocations.* is [12];/);
  for (const senseless of [{ maxAllocationsPerUsername: 3 }, { maxAllocations: 1 }])
    await expect(change(senseless)).rejects.toMatchObject({ code: 'INVALID_REQUEST', message });
});

test('enableWebrtc refuses other TURN settings than those in force, and repeats itself with the same', async () => {
  await enable({ peerPolicy: 'public', bytesPerSec: 500_000 });
  const again = (turn: object) => enableWebrtc(context, 'demo', enableWebrtcSchema.parse({ turn }));
  await expect(again({ peerPolicy: 'sfu', bytesPerSec: null })).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('peerPolicy is public, not sfu, bytesPerSec is 500000, not none;'),
    hint: expect.stringContaining('orama namespace set webrtc --namespace demo'),
  });
  expect(await again({ peerPolicy: 'public' })).toMatchObject({ outcome: 'unchanged' });
  expect(await again({})).toMatchObject({ outcome: 'unchanged' });
});

test('changeTurnSettings refuses while WebRTC is off, being enabled or being disabled', async () => {
  await expect(change({ maxAllocations: 1 })).rejects.toMatchObject({ code: 'WEBRTC_NOT_ENABLED' });
  await enableWebrtc(context, 'demo', enableWebrtcSchema.parse({}));
  await expect(change({ maxAllocations: 1 })).rejects.toMatchObject({ code: 'NAMESPACE_BUSY' });
  await disableWebrtc(context, 'demo');
  await expect(change({ maxAllocations: 1 })).rejects.toMatchObject({ code: 'NAMESPACE_BUSY', retryable: true });
});
