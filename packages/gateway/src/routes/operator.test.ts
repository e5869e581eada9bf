import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { closeServer, deriveKey, RequestVerifier, SIGNATURE_HEADER, VirtualClock } from '@orama/core';
import { CONTROLPLANE_KEY_INFO } from '@orama/protocol';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Bed, CLUSTER_KEY, type RunningGateway } from '../../testing/bed.ts';
import { call } from '../../testing/client.ts';

const TOKEN = `orama_op_0123456789abcdef.${'s'.repeat(43)}`;
const headers = { authorization: `Bearer ${TOKEN}` };

let bed: Bed;
let controlplane: Server;
/** What reached the controlplane, each checked by its signature. */
let seen: { method: string; target: string; body: string; authorization: string; refusal: string | null }[] = [];
let open: RunningGateway;

/** The field of the gateway's configuration, with the controlplane of this test. */
const operatorApi = (more: object = {}) => {
  const { port } = controlplane.address() as AddressInfo;
  return { operatorApi: { controlplane: { address: '127.0.0.1', port }, ...more } };
};

beforeAll(async () => {
  bed = await Bed.open([]);
  const verifier = new RequestVerifier(deriveKey(CLUSTER_KEY, CONTROLPLANE_KEY_INFO));
  controlplane = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method = '', url: target = '' } = request;
    const signature = request.headers[SIGNATURE_HEADER] as string;
    const refusal = verifier.verify(signature, method, target, body, Date.now());
    seen.push({ method, target, body, authorization: request.headers.authorization ?? '', refusal });
    response.writeHead(202, { 'content-type': 'application/json' }).end('{"answer":42}');
  });
  await new Promise<void>((resolve) => controlplane.listen(0, '127.0.0.1', resolve));
  open = await bed.startGateway({ config: operatorApi() });
});
afterAll(async () => {
  await bed.close();
  await closeServer(controlplane);
});
beforeEach(() => {
  seen = [];
});

const ask = (gateway: RunningGateway, method: string, path: string, options: Parameters<typeof call>[3] = {}) =>
  call(gateway, method, path, { key: null, headers, ...options });

test('a call reaches the controlplane signed, with its token, query and body, and its answer comes back', async () => {
  const answer = await ask(open, 'POST', '/v1/operator/nodes/node-1/drain?x=%20y', { body: { deadlineMs: 5 } });
  expect(answer).toMatchObject({ status: 202, body: { answer: 42 }, headers: { 'cache-control': 'no-store' } });
  expect(seen).toEqual([
    {
      method: 'POST',
      target: '/v1/operator/nodes/node-1/drain?x=%20y',
      body: '{"deadlineMs":5}',
      authorization: `Bearer ${TOKEN}`,
      refusal: null,
    },
  ]);
});

test('nobody is served unless the configuration says so', async () => {
  const closed = await bed.startGateway();
  const answer = await ask(closed, 'GET', '/v1/operator/cluster');
  expect(answer).toMatchObject({ status: 404, body: { error: { hint: expect.stringContaining('operatorApi') } } });
});

test('only the networks that are allowed are served', async () => {
  const narrow = await bed.startGateway({ config: operatorApi({ allowFrom: ['203.0.113.0/24', '198.51.100.7'] }) });
  expect((await ask(narrow, 'GET', '/v1/operator/cluster')).status).toBe(403);
  expect(seen).toEqual([]);
  const wide = await bed.startGateway({ config: operatorApi({ allowFrom: ['127.0.0.0/8'] }) });
  expect((await ask(wide, 'GET', '/v1/operator/cluster')).status).toBe(202);
});

test.each([
  ['no credential', {}],
  ['an API key', { 'x-api-key': 'ok_demo_0123456789abcdef0123456789abcdef' }],
  ['something else', { authorization: 'Bearer nonsense' }],
  ['a cut token', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
])('%s is refused here, before a body is read', async (_what, wrong) => {
  const answer = await ask(open, 'POST', '/v1/operator/namespaces', { headers: wrong, body: '{ no json' });
  expect(answer.status).toBe(401);
  expect(seen).toEqual([]);
});

test.each([
  '/v1/operator/../internal/namespaces',
  '/v1/operator/%2e%2e/internal/namespaces',
  '/v1/operator/./cluster',
  '/v1/operator/a\\..\\..\\internal/cluster',
])('%s is refused, for it leads somewhere else', async (path) => {
  // As it is: a URL would be put in order on its way.
  const { hostname: host, port } = new URL(open.url);
  const status = await new Promise((resolve, reject) => {
    const raw = request({ host, port, path, headers }, (response) => resolve(response.resume().statusCode));
    raw.on('error', reject).end();
  });
  expect(status).toBe(400);
  expect(seen).toEqual([]);
});

test('a body that is too large, and a method that there is none of, are refused', async () => {
  expect((await ask(open, 'POST', '/v1/operator/namespaces', { body: { a: 'x'.repeat(70_000) } })).status).toBe(413);
  expect((await ask(open, 'PUT', '/v1/operator/namespaces')).status).toBe(404);
  expect(seen).toEqual([]);
});

test('a source has a rate of its own', async () => {
  const limits = { operatorCallsPerSource: { burst: 2, perSec: 1 } };
  const clock = new VirtualClock(Date.now());
  const slow = await bed.startGateway({ clock, config: { ...operatorApi(), limits } });
  const statuses = [];
  for (let n = 0; n < 3; n += 1) statuses.push((await ask(slow, 'GET', '/v1/operator/cluster')).status);
  expect(statuses).toEqual([202, 202, 429]);
});

test('a controlplane that is down is told with the next step', async () => {
  const config = { operatorApi: { controlplane: { address: '127.84.255.254', port: 9 } } };
  const alone = await bed.startGateway({ config });
  expect(await ask(alone, 'GET', '/v1/operator/cluster')).toMatchObject({
    status: 503,
    body: { error: { code: 'UNAVAILABLE', retryable: true, hint: expect.stringContaining('orama-controlplane') } },
  });
});
