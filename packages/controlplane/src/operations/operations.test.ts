import { drainNodeSchema, enableWebrtcSchema } from '@orama/protocol';
import { hashKey } from '@orama/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import { webrtcStatusOf } from '../api/webrtc-status.ts';
import type { OperationContext } from './context.ts';
import { disableWebrtc } from './disable-webrtc.ts';
import { enableWebrtc } from './enable-webrtc.ts';
import { createNamespace, deleteNamespace } from './namespaces.ts';
import { drainNode } from './nodes.ts';

const DEFAULTS = enableWebrtcSchema.parse({});

let operations: TestOperations;
let context: OperationContext;

beforeEach(async () => {
  operations = new TestOperations();
  context = await operations.connect();
  await operations.addNodes(context, 3);
});

afterEach(() => operations.close());

const create = (name: string) => createNamespace(context, { name, owner: 'operator' });

/** Everything of WebRTC in the store, to see that nothing was written. */
async function webrtcRows() {
  const { store } = context;
  return {
    settings: await store.webrtc.list(),
    ports: await store.ports.list(),
    running: await store.operations.listRunning(),
    generations: (await store.namespaces.list()).map((namespace) => namespace.webrtcGeneration),
  };
}

test('createNamespace shows the API key once and stores its hash only', async () => {
  const { apiKey, url } = await create('demo');
  expect(apiKey).toMatch(/^orama_[\w-]{43}$/);
  expect(url).toBe('http://ns-demo.orama.localhost:6080');
  expect(await context.store.keys.findByHash(hashKey(apiKey))).toMatchObject({ namespace: 'demo', kind: 'owner' });
  const [row] = await context.store.db.query<object>('SELECT * FROM keys');
  expect(JSON.stringify(row)).not.toContain(apiKey);
});

test('createNamespace refuses a name that is taken, and adds no key to it', async () => {
  await create('demo');
  await expect(create('demo')).rejects.toMatchObject({ code: 'NAMESPACE_EXISTS' });
  expect(await context.store.db.query('SELECT * FROM keys')).toHaveLength(1);
});

test('deleteNamespace removes it with its keys, and refuses while WebRTC is there', async () => {
  await create('demo');
  await enableWebrtc(context, 'demo', DEFAULTS);
  await expect(deleteNamespace(context, 'demo')).rejects.toMatchObject({ code: 'NAMESPACE_HAS_WEBRTC' });
  expect(await context.store.db.query('SELECT * FROM keys')).toHaveLength(1);
  await create('other');
  await deleteNamespace(context, 'other');
  await expect(deleteNamespace(context, 'other')).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
});

test('enableWebrtc writes settings, encrypted secret, placement, ports and the operation with its steps', async () => {
  await create('demo');
  const { outcome, operation } = await enableWebrtc(context, 'demo', { ...DEFAULTS, turnCredentialTtlSec: 30 });
  expect(outcome).toBe('started');
  expect(operation?.steps.map((step) => `${step.name} ${step.state}`)).toEqual([
    'turn:node-1 pending',
    'turn:node-2 pending',
    'sfu:node-1 pending',
    'sfu:node-2 pending',
    'sfu:node-3 pending',
    'dns pending',
    'state-file:node-1 pending',
    'state-file:node-2 pending',
    'state-file:node-3 pending',
  ]);
  const settings = await context.store.webrtc.get('demo');
  expect(settings).toMatchObject({ state: 'enabling', turnCredentialTtlSec: 30, generation: 1 });
  expect(settings?.turnSharedSecret).toMatch(/^enc:/);
  expect(context.secrets.open(settings?.turnSharedSecret ?? '', 'demo')).toMatch(/^[\w-]{43}$/);
  expect(await context.store.ports.listOf('demo')).toHaveLength(5);
});

test('enableWebrtc hands back the enable that runs, and says so when it is enabled already', async () => {
  await create('demo');
  const { operation } = await enableWebrtc(context, 'demo', DEFAULTS);
  expect(await enableWebrtc(context, 'demo', DEFAULTS)).toMatchObject({
    outcome: 'resumed',
    operation: { id: operation?.id },
  });
  const { store } = context;
  await store.db.batch([store.webrtc.markEnabled('demo', 1), store.operations.finish(operation?.id ?? '', 'done', 1)]);
  const before = await webrtcRows();
  expect(await enableWebrtc(context, 'demo', DEFAULTS)).toEqual({
    outcome: 'unchanged',
    operation: null,
    message:
      'WebRTC is already enabled for "demo" (3 SFU nodes, 2 TURN nodes, credentials live 600 s); nothing was changed',
  });
  expect(await webrtcRows()).toEqual(before);
});

test('disableWebrtc ends an enable that runs, is handed back while it runs, and keeps enable waiting', async () => {
  await create('demo');
  const enable = await enableWebrtc(context, 'demo', DEFAULTS);
  const disable = await disableWebrtc(context, 'demo');
  expect(disable).toMatchObject({ outcome: 'started', operation: { kind: 'disable-webrtc' } });
  expect(await context.store.operations.get(enable.operation?.id ?? '')).toMatchObject({
    state: 'failed',
    errorMessage: 'WebRTC was disabled while it was being enabled',
  });
  expect(await disableWebrtc(context, 'demo')).toMatchObject({
    outcome: 'resumed',
    operation: { id: disable.operation?.id },
  });
  await expect(enableWebrtc(context, 'demo', DEFAULTS)).rejects.toMatchObject({
    code: 'NAMESPACE_BUSY',
    retryable: true,
  });
  // The blocks stay until the nodes have confirmed that their services are gone.
  expect(await context.store.ports.listOf('demo')).toHaveLength(5);
});

test('disableWebrtc changes nothing when WebRTC is off', async () => {
  await create('demo');
  expect(await disableWebrtc(context, 'demo')).toMatchObject({ outcome: 'unchanged', operation: null });
  expect((await webrtcRows()).settings).toEqual([]);
});

test('enable and disable of an unknown namespace say NAMESPACE_NOT_FOUND', async () => {
  await expect(enableWebrtc(context, 'nobody', DEFAULTS)).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
  await expect(disableWebrtc(context, 'nobody')).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
});

test('the 21st namespace gets PORTS_EXHAUSTED naming range and nodes, with nothing written', async () => {
  for (let n = 1; n <= 20; n += 1) {
    await create(`ns${n}`);
    await enableWebrtc(context, `ns${n}`, DEFAULTS);
  }
  await create('one-too-many');
  const before = await webrtcRows();
  await expect(enableWebrtc(context, 'one-too-many', DEFAULTS)).rejects.toMatchObject({
    code: 'PORTS_EXHAUSTED',
    message: expect.stringMatching(/SFU media 20000-29999 .* node-1, node-2, node-3/),
  });
  expect(await webrtcRows()).toEqual(before);
});

test('enables from several controlplanes at once all get ports of their own', async () => {
  const contexts = await Promise.all(Array.from({ length: 4 }, () => operations.connect()));
  const names = Array.from({ length: 16 }, (_, n) => `ns${n}`);
  for (const name of names) await create(name);
  const outcomes = await Promise.all(
    names.map((name, n) => enableWebrtc(contexts[n % 4] as OperationContext, name, DEFAULTS)),
  );
  expect(outcomes.every(({ outcome }) => outcome === 'started')).toBe(true);
  const starts = (await context.store.ports.list()).map((row) =>
    row.service === 'sfu' ? `${row.hostIp} ${row.mediaPortStart}` : `${row.hostIp} ${row.relayPortStart}`,
  );
  expect(new Set(starts).size).toBe(16 * 5);
});

test('the same enable from several shells at once begins one operation', async () => {
  await create('demo');
  const contexts = await Promise.all(Array.from({ length: 4 }, () => operations.connect()));
  const answers = await Promise.all(contexts.map((each) => enableWebrtc(each, 'demo', DEFAULTS)));
  expect(answers.map(({ outcome }) => outcome).sort()).toEqual(['resumed', 'resumed', 'resumed', 'started']);
  expect(new Set(answers.map(({ operation }) => operation?.id)).size).toBe(1);
});

test('enableWebrtc takes only nodes that are active and reachable, and says NOT_ENOUGH_NODES otherwise', async () => {
  await create('demo');
  const { store } = context;
  await store.db.batch([store.nodes.setReachable({ id: 'node-2', beats: 1 }, false, Date.now())]);
  await expect(enableWebrtc(context, 'demo', DEFAULTS)).rejects.toMatchObject({ code: 'NOT_ENOUGH_NODES' });
  expect((await webrtcRows()).ports).toEqual([]);
  await enableWebrtc(context, 'demo', { ...DEFAULTS, sfuNodeCount: 2, turnNodeCount: 2 });
  expect(new Set((await store.ports.list()).map((row) => row.nodeId))).toEqual(new Set(['node-1', 'node-3']));
});

test('enableWebrtc puts nothing on a node that is drained at the same moment', async () => {
  await create('demo');
  const drain = () => drainNode(context, 'node-1', drainNodeSchema.parse({ deadlineMs: 60_000 }));
  const own = operations.overtaken(context, drain);
  await enableWebrtc(own, 'demo', { ...DEFAULTS, sfuNodeCount: 2 });
  const nodes = (await context.store.ports.list()).map(({ nodeId }) => nodeId);
  expect(new Set(nodes)).toEqual(new Set(['node-2', 'node-3']));
});

test('enableWebrtc takes fewer nodes where that is allowed, and the status says what is missing', async () => {
  await create('demo');
  const { store, config } = context;
  await store.db.batch([store.nodes.setReachable({ id: 'node-2', beats: 1 }, false, Date.now())]);
  await enableWebrtc(context, 'demo', { ...DEFAULTS, allowDegraded: true });
  const [settings, allocations, nodes] = await Promise.all([
    store.webrtc.get('demo'),
    store.ports.listTakenBy('demo'),
    store.nodes.list(),
  ]);
  expect(settings).toMatchObject({ sfuNodeCount: 3, turnNodeCount: 2 });
  expect(allocations.map((row) => `${row.service} ${row.nodeId}`)).toEqual([
    'sfu node-1',
    'sfu node-3',
    'turn node-1',
    'turn node-3',
  ]);
  const rest = { reports: [], dns: [], rooms: 0, operation: null, nowMs: 0 };
  const { problems } = webrtcStatusOf(config, { namespace: 'demo', settings, allocations, nodes, ...rest });
  expect(problems).toContain('sfu is on 2 of 3 nodes: no other node can take it');
  expect(problems.join()).not.toContain('turn is on');
});

test('enableWebrtc refuses while a core service is not ready, naming it and its node', async () => {
  await create('demo');
  const { store } = context;
  const core = [{ service: 'gateway', healthy: false, reason: 'exit code 1' }];
  await store.db.batch([store.nodes.heartbeat('node-3', core, Date.now())]);
  await expect(enableWebrtc(context, 'demo', DEFAULTS)).rejects.toMatchObject({
    code: 'CORE_NOT_READY',
    message: 'not ready: gateway on node-3 (exit code 1); nothing was changed',
  });
  expect((await webrtcRows()).settings).toEqual([]);
});
