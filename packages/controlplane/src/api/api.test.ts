import { join } from 'node:path';
import { deriveKey, SIGNATURE_HEADER, signRequest, systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { CONTROLPLANE_KEY_INFO, errorBodySchema } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import { ControlplaneClient, DaemonUnreachableError } from '../client/controlplane-client.ts';
import { callHttp } from '../http-call.ts';
import type { TaskPlan } from '../reconcile/engine.ts';
import { HeldUnits } from '../services/held-units.ts';
import { createRoutes } from './routes.ts';
import { ApiServer } from './server.ts';

const KEY = 'cluster key of the test';
const ADDRESS = '127.83.20.1';
const PORT = 6001;
const BASE = `http://${ADDRESS}:${PORT}`;

const nothingSeen = () => Promise.reject(new Error('no report in this test'));
let operations: TestOperations;
let server: ApiServer;
let held: HeldUnits;
let changes: number;
let plans: TaskPlan[];
let releases: number;

beforeEach(async () => {
  operations = new TestOperations();
  const context = await operations.connect();
  await operations.addNodes(context, 3);
  changes = 0;
  plans = [];
  releases = 0;
  held = new HeldUnits(join(operations.dir, 'held-units.json'));
  server = new ApiServer({
    clusterKey: KEY,
    listen: [{ address: ADDRESS, port: PORT }],
    health: ({ path }) => (path === '/healthz' ? { status: 200, body: { status: 'ok' } } : undefined),
    routes: createRoutes({
      isCurrent: () => true,
      isNew: () => false,
      context: () => context,
      version: '1.2.3',
      clusterKey: 'key',
      onChange: () => void changes++,
      plans: async () => plans,
      nodeFacts: () => Promise.reject(new Error('not looked at')),
      monitor: { node: nothingSeen, cluster: nothingSeen },
      turn: { held, peer: (address) => client([`http://${address}:${PORT}`]), onRelease: () => void releases++ },
    }),
    clock: systemClock,
    logger: silentLogger,
  });
  await server.start();
});

afterEach(async () => {
  await server.stop();
  await operations.close();
});

const client = (endpoints = [BASE], clusterKey = KEY, requestedBy = 'operator') =>
  new ControlplaneClient({ endpoints, clusterKey, requestedBy });
const sign = (method: string, path: string, body = '') =>
  signRequest(deriveKey(KEY, CONTROLPLANE_KEY_INFO), method, path, body, Date.now());

/** Sends a call, rightly signed unless a signature is given; `status code` of the answer. */
async function send(
  method: string,
  path: string,
  options: { body?: string; signature?: string; token?: string | undefined } = {},
) {
  const { body = '', signature = sign(method, path, body), token } = options;
  const headers: Record<string, string> = {
    ...(signature !== '' && { [SIGNATURE_HEADER]: signature }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  const answer = await callHttp({ address: ADDRESS, port: PORT }, method, path, { body, headers });
  return answer.status === 200
    ? '200'
    : `${answer.status} ${errorBodySchema.parse(JSON.parse(answer.body)).error.code}`;
}

test('the client does the whole way of a namespace through the API', async () => {
  const { apiKey } = await client().createNamespace('demo', 'anna');
  expect(apiKey).toMatch(/^orama_/);
  const { operation } = await client().enableWebrtc('demo', { turnCredentialTtlSec: 30 });
  expect(await client().operation(operation?.id ?? '')).toMatchObject({ kind: 'enable-webrtc', state: 'running' });
  expect(await client().namespaces()).toMatchObject([{ name: 'demo', owner: 'anna', webrtc: 'enabling' }]);
  const status = await client().webrtcStatus('demo');
  expect(status).toMatchObject({ state: 'enabling', healthy: false, turnCredentialTtlSec: 30 });
  expect(status.problems).toContain('sfu on node-3 is not healthy: node-3 has not begun yet');
  await expect(client().deleteNamespace('demo')).rejects.toMatchObject({ code: 'NAMESPACE_HAS_WEBRTC' });
  expect((await client().disableWebrtc('demo')).outcome).toBe('started');
  expect(changes).toBe(2);
  await client().createNamespace('other');
  await client().deleteNamespace('other');
  expect(await client().cluster()).toMatchObject({
    clusterId: 'test',
    version: '1.2.3',
    nodes: [{ alive: true }, {}, {}],
  });
});

test('there are no TURN credentials while all TURN nodes are gone, and what they last said is told', async () => {
  await client().createNamespace('demo');
  await client().enableWebrtc('demo');
  const { store } = await operations.connect();
  const { generation = 0 } = (await store.webrtc.get('demo')) ?? {};
  const reason = 'drained; it serves again with "orama turn resume --node node-1"';
  const report = { nodeId: 'node-1', namespace: 'demo', service: 'turn', reason, generation, details: {} };
  await store.db.batch([
    store.webrtc.markEnabled('demo', generation),
    store.reports.upsert({
      ...report,
      desired: 'running',
      observed: 'absent',
      healthy: false,
      reportedAtMs: Date.now(),
    }),
  ]);
  expect((await client().turnCredentials('demo')).uris).not.toEqual([]);
  await store.db.batch([{ sql: `UPDATE nodes SET state = 'gone'` }]);
  await expect(client().turnCredentials('demo')).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: 'no TURN server serves namespace "demo"',
    hint: `node-1: ${reason}; see its nodes: orama namespace webrtc-status --namespace demo`,
  });
});

test('calls without a signature, with another key, or sent a second time are refused, and health is open', async () => {
  const path = '/v1/internal/namespaces';
  expect(await send('GET', path, { signature: '' })).toBe('401 UNAUTHORIZED');
  await expect(client([BASE], 'another key').namespaces()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  const signature = sign('GET', path);
  expect(await send('GET', path, { signature })).toBe('200');
  expect(await send('GET', path, { signature })).toBe('401 UNAUTHORIZED');
  expect(await send('GET', '/healthz', { signature: '' })).toBe('200');
});

test('a signature does not serve for another path or body', async () => {
  const path = '/v1/internal/namespaces';
  expect(await send('GET', path, { signature: sign('GET', '/v1/internal/cluster') })).toBe('401 UNAUTHORIZED');
  const signature = sign('POST', path, '{"name":"a"}');
  expect(await send('POST', path, { signature, body: '{"name":"b"}' })).toBe('401 UNAUTHORIZED');
});

test('bad names, bodies, paths and methods each get their error', async () => {
  const path = '/v1/internal/namespaces';
  expect(await send('POST', path, { body: '{"name": "Bad_Name"}' })).toBe('400 INVALID_REQUEST');
  expect(await send('POST', path, { body: '{' })).toBe('400 INVALID_REQUEST');
  expect(await send('DELETE', `${path}/-x-`)).toBe('400 INVALID_REQUEST');
  expect(await send('GET', `${path}/%ff/webrtc`)).toBe('400 INVALID_REQUEST');
  expect(await send('GET', `${path}/nobody/webrtc`)).toBe('404 NAMESPACE_NOT_FOUND');
  expect(await send('GET', '/v1/internal/operations/none')).toBe('404 OPERATION_NOT_FOUND');
  expect(await send('PATCH', path)).toBe('405 METHOD_NOT_ALLOWED');
  expect(await send('GET', '/v1/internal/nothing')).toBe('404 NOT_FOUND');
  expect(await send('GET', '/elsewhere')).toBe('404 NOT_FOUND');
});

test('the client goes on to the next address when one is down, and says so when all are', async () => {
  const down = 'http://127.83.20.9:6001';
  expect(await client([down, BASE]).namespaces()).toEqual([]);
  const failure = client([down, 'http://127.83.20.8:6001']).namespaces();
  await expect(failure).rejects.toBeInstanceOf(DaemonUnreachableError);
  await expect(failure).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    hint: expect.stringContaining('systemctl status orama-controlplane'),
  });
});

test('GET /operations lists the newest first, of all namespaces or one, with their steps', async () => {
  for (const name of ['one', 'two']) {
    await client().createNamespace(name);
    await client().enableWebrtc(name, { requestedBy: 'anna' });
  }
  await client([BASE], KEY, 'bert').disableWebrtc('one');
  const listed = (all: Awaited<ReturnType<ControlplaneClient['operations']>>) =>
    all.map(({ kind, namespace, requestedBy }) => `${kind} ${namespace} by ${requestedBy}`);
  expect(listed(await client().operations())).toEqual([
    'disable-webrtc one by bert',
    'enable-webrtc two by anna',
    'enable-webrtc one by anna',
  ]);
  expect(listed(await client().operations({ namespace: 'one', limit: 1 }))).toEqual(['disable-webrtc one by bert']);
  expect((await client().operations({ limit: 1 }))[0]?.steps.map(({ name }) => name)).toContain('turn:node-1');
  expect(await send('GET', '/v1/internal/operations?limit=0')).toBe('400 INVALID_REQUEST');
  expect(await send('GET', '/v1/internal/operations?who=me')).toBe('400 INVALID_REQUEST');
});

test('GET /leases tells who holds what, with its generation, and whose was given up', async () => {
  const { store } = await operations.connect();
  await store.leases.take('dns', 'node-2', undefined, 0);
  const lease = await store.leases.take('liveness', 'node-1', undefined, 0);
  if (lease) await store.db.batch([store.leases.release(lease)]);
  expect(await client().leases()).toEqual([
    { name: 'dns', holder: 'node-2', generation: 1, since: '1970-01-01T00:00:00.000Z' },
    { name: 'liveness', holder: null, generation: 1, since: '1970-01-01T00:00:00.000Z' },
  ]);
});

test('GET /plan and /nodes/<id>/plan tell what the tasks of a node would do, and nothing else of it', async () => {
  const { store } = await operations.connect();
  const facts = { id: 'node-1', name: 'node-1', wireguardIp: ADDRESS, publicIp: ADDRESS, region: 'x', version: '0' };
  await store.nodes.register({ ...facts, lastSeenAtMs: 0 });
  const action = { kind: 'sfu-start' as const, subject: 'orama-namespace-sfu@demo', reason: 'desired here' };
  plans = [
    { task: 'sfu-services', actions: [action], error: null },
    { task: 'dns', actions: [], error: 'the store cannot be reached' },
  ];
  expect(await client().nodePlan('node-1')).toEqual({
    node: 'node-1',
    tasks: [
      { task: 'sfu-services', actions: [action] },
      { task: 'dns', actions: [], error: 'the store cannot be reached' },
    ],
  });
  await expect(client().nodePlan('node-9')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await send('GET', '/v1/internal/plan', { signature: '' })).toBe('401 UNAUTHORIZED');
  expect(changes).toBe(0);
});

test('a token opens what its scope may do, below its own prefix and in a signed request alone', async () => {
  const [viewer, operator] = await Promise.all(
    (['viewer', 'operator'] as const).map(
      async (scope) => (await client().createOperatorToken({ name: scope, scope })).token,
    ),
  );
  const body = JSON.stringify({ name: 'mine', owner: 'me' });
  expect(await send('GET', '/v1/operator/cluster', { token: viewer })).toBe('200');
  expect(await send('GET', '/v1/operator/cluster')).toBe('401 UNAUTHORIZED');
  expect(await send('GET', '/v1/operator/cluster', { token: viewer, signature: '' })).toBe('401 UNAUTHORIZED');
  expect(await send('GET', '/v1/internal/cluster', { token: viewer, signature: '' })).toBe('401 UNAUTHORIZED');
  expect(await send('POST', '/v1/operator/namespaces', { token: viewer, body })).toBe('403 FORBIDDEN');
  for (const path of ['/operator-tokens', '/no/such/thing']) {
    expect(await send('GET', `/v1/operator${path}`)).toBe('401 UNAUTHORIZED');
  }
  expect(await send('POST', '/v1/operator/operator-tokens', { token: operator, body: '{"name":"x"}' })).toBe(
    '403 FORBIDDEN',
  );
  expect(await send('POST', '/v1/operator/invitations', { token: operator })).toBe('403 FORBIDDEN');
  expect(await send('POST', '/v1/operator/operator-tokens/viewer/revoke', { token: operator })).toBe('403 FORBIDDEN');

  await client().createNamespace('demo');
  const enable = JSON.stringify({ requestedBy: 'somebody else', allowDegraded: true });
  const path = '/v1/operator/namespaces/demo/webrtc/enable';
  const headers = { [SIGNATURE_HEADER]: sign('POST', path, enable), authorization: `Bearer ${operator}` };
  const answer = await callHttp({ address: ADDRESS, port: PORT }, 'POST', path, { body: enable, headers });
  expect(answer.status).toBe(202);
  expect((await client().operations())[0]).toMatchObject({ kind: 'enable-webrtc', requestedBy: 'token:operator' });
});
