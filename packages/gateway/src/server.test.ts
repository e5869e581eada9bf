import { connect } from 'node:net';
import { issueTurnCredentials, VirtualClock } from '@orama/core';
import { errorBodySchema, turnCredentialsSchema } from '@orama/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiKeyOf, BASE_DOMAIN, Bed, type RunningGateway, turnSecretOf } from '../testing/bed.ts';
import { call } from '../testing/client.ts';

const CREDENTIALS = '/v1/webrtc/turn/credentials';
const ROOMS = '/v1/webrtc/rooms';

describe('the public server', () => {
  let bed: Bed;
  let gateway: RunningGateway;

  beforeAll(async () => {
    bed = await Bed.open(['demo', 'other']);
    await bed.addNamespace('plain');
    gateway = await bed.startGateway();
  });
  afterAll(() => bed.close());

  it('POST turn/credentials answers a credential that the TURN secret verifies, with the TURN name of the namespace', async () => {
    const answer = await call(gateway, 'POST', CREDENTIALS);
    expect(answer.status).toBe(200);
    const credentials = turnCredentialsSchema.parse(answer.body);
    expect(credentials.uris).toEqual([
      `turn:turn.ns-demo.${BASE_DOMAIN}:3478?transport=udp`,
      `turn:turn.ns-demo.${BASE_DOMAIN}:3478?transport=tcp`,
      `turns:turn.ns-demo.${BASE_DOMAIN}:5349`,
    ]);
    expect(credentials.ttl).toBe(600);
    const expirySec = Number(credentials.username.split(':')[0]);
    expect(expirySec - Date.now() / 1000).toBeGreaterThan(595);
    const again = issueTurnCredentials({
      secret: turnSecretOf('demo'),
      namespace: 'demo',
      ttlSec: 600,
      uris: credentials.uris,
      nowMs: (expirySec - 600) * 1000,
    });
    expect(credentials).toEqual(again);
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  it('POST turn/credentials takes an empty body that calls itself JSON', async () => {
    expect((await call(gateway, 'POST', CREDENTIALS, { body: '' })).status).toBe(200);
  });

  it('names addresses of TURN nodes where so configured, UDP first, and only those that serve where some do', async () => {
    const clock = new VirtualClock(Date.now());
    const byAddress = await bed.startGateway({ clock, config: { turnAdvertise: 'addresses' } });
    const named = async () => (await call(byAddress, 'POST', CREDENTIALS)).body.uris as string[];
    const urisOf = (node: number) => ['udp', 'tcp'].map((each) => `turn:192.0.2.${node}:3478?transport=${each}`);
    const all = await named();
    expect([...all].sort()).toEqual([...urisOf(1), ...urisOf(2)].sort());
    expect(all.map((uri) => uri.slice(-3))).toEqual(['udp', 'udp', 'tcp', 'tcp']);
    await bed.store.db.batch([
      bed.store.reports.upsert({
        nodeId: 'node-2',
        namespace: 'demo',
        service: 'turn',
        desired: 'running',
        observed: 'running',
        healthy: true,
        generation: 1,
        reason: null,
        details: {},
        reportedAtMs: clock.now(),
      }),
    ]);
    expect(await named()).toEqual(urisOf(2));
    await bed.store.db.batch([bed.store.nodes.setReachable({ id: 'node-2', beats: 0 }, false, clock.now())]);
    expect((await named()).sort(), 'node-2 cannot be reached').toEqual([...urisOf(1), ...urisOf(2)].sort());
  });

  it('takes a key in Authorization: ApiKey, and lets the credential name the namespace where the host does not', async () => {
    const answer = await call(gateway, 'POST', CREDENTIALS, {
      host: 'gateway.internal',
      key: null,
      headers: { authorization: `ApiKey ${apiKeyOf('other')}` },
    });
    expect(answer.status).toBe(200);
    expect(answer.body.username).toMatch(/^\d+:other$/);
  });

  it.each([
    ['no credential', { key: null }],
    ['an unknown key', { key: 'ok_unknown_0123456789abcdef0123456789' }],
    ['a bearer token', { key: null, headers: { authorization: 'Bearer a.b.c' } }],
  ])('answers 401 to %s', async (_what, options) => {
    const answer = await call(gateway, 'GET', ROOMS, options);
    expect(answer.status).toBe(401);
    expect(errorBodySchema.parse(answer.body).error.code).toBe('UNAUTHORIZED');
    expect(answer.headers['www-authenticate']).toBe('ApiKey realm="orama", Bearer realm="orama"');
  });

  it('does not take a key from the query of a REST call', async () => {
    expect((await call(gateway, 'GET', `${ROOMS}?api_key=${apiKeyOf('demo')}`, { key: null })).status).toBe(401);
  });

  it('answers 403 to a credential of another namespace than the host names', async () => {
    const answer = await call(gateway, 'POST', CREDENTIALS, { key: apiKeyOf('other') });
    expect([answer.status, answer.body.error.code]).toEqual([403, 'FORBIDDEN']);
    const unknown = await call(gateway, 'POST', CREDENTIALS, { host: `ns-nowhere.${BASE_DOMAIN}` });
    expect(unknown.status).toBe(403);
  });

  it('answers 404 WEBRTC_NOT_ENABLED while WebRTC is off', async () => {
    const options = { host: `ns-plain.${BASE_DOMAIN}`, key: apiKeyOf('plain') };
    for (const [method, path, body] of [
      ['POST', CREDENTIALS, undefined],
      ['GET', ROOMS, undefined],
      ['POST', ROOMS, { room_id: 'r' }],
      ['DELETE', `${ROOMS}?room_id=r`, undefined],
      ['GET', `${ROOMS}/r/participants`, undefined],
    ] as const) {
      const answer = await call(gateway, method, path, { ...options, body });
      expect([method, path, answer.status, answer.body.error.code]).toEqual([method, path, 404, 'WEBRTC_NOT_ENABLED']);
    }
  });

  it('answers 405 with Allow to other methods, and 404 to other paths, in the error form', async () => {
    const wrong = await call(gateway, 'PUT', ROOMS, { body: {} });
    expect([wrong.status, wrong.body.error.code, wrong.headers.allow]).toEqual([
      405,
      'METHOD_NOT_ALLOWED',
      'GET, POST, DELETE, OPTIONS',
    ]);
    expect((await call(gateway, 'GET', CREDENTIALS)).status).toBe(405);
    const missing = await call(gateway, 'GET', '/v1/nothing?api_key=secret-in-the-query');
    expect([missing.status, missing.body.error.code]).toEqual([404, 'NOT_FOUND']);
    expect(JSON.stringify(missing.body)).not.toContain('secret-in-the-query');
  });

  it.each([
    ['a body that is not JSON', '{"room_id":', 400, 'INVALID_REQUEST'],
    ['a body of another shape', { room: 'r1' }, 400, 'INVALID_REQUEST'],
    ['a room id with a space', { room_id: 'a b' }, 400, 'INVALID_REQUEST'],
    ['too many participants', { room_id: 'a', max_participants: 1_000_000 }, 400, 'INVALID_REQUEST'],
    ['metadata above 4 KB', { room_id: 'a', metadata: { x: 'y'.repeat(5_000) } }, 400, 'INVALID_REQUEST'],
    ['a body above the limit', { room_id: 'a', metadata: { x: 'y'.repeat(70_000) } }, 413, 'PAYLOAD_TOO_LARGE'],
  ])('refuses %s', async (_what, body, status, code) => {
    const answer = await call(gateway, 'POST', ROOMS, { body });
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
  });

  it('refuses bodies that are not JSON by their type, and broken percent-encoding', async () => {
    const xml = await call(gateway, 'POST', ROOMS, { body: '<a/>', headers: { 'content-type': 'text/xml' } });
    expect([xml.status, xml.body.error.code]).toEqual([400, 'INVALID_REQUEST']);
    const broken = await call(gateway, 'GET', `${ROOMS}/%ff/participants`);
    expect([broken.status, broken.body.error.code]).toEqual([400, 'INVALID_REQUEST']);
  });

  it('answers preflights of any origin, without credentials, and sends Permissions-Policy everywhere', async () => {
    const preflight = await call(gateway, 'OPTIONS', ROOMS, {
      key: null,
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'DELETE',
        'access-control-request-headers': 'x-api-key',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers['access-control-allow-origin']).toBe('*');
    expect(preflight.headers['access-control-allow-methods']).toContain('DELETE');
    expect(preflight.headers['access-control-allow-headers']).toContain('x-api-key');
    expect(preflight.headers['access-control-allow-credentials']).toBeUndefined();
    const refused = await call(gateway, 'GET', ROOMS, { key: null, headers: { origin: 'https://app.example' } });
    expect(refused.headers['access-control-allow-origin']).toBe('*');
    for (const answer of [preflight, refused, await call(gateway, 'GET', ROOMS)]) {
      expect(answer.headers['permissions-policy']).toBe('camera=(self), microphone=(self)');
    }
  });

  it('answers 400 to bytes that are not HTTP, and goes on', async () => {
    const { hostname, port } = new URL(gateway.url);
    const said = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => socket.write('\x16\x03\x01garbage\r\n\r\n'));
      let text = '';
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
    expect(said).toMatch(/^HTTP\/1.1 400/);
    expect((await call(gateway, 'GET', ROOMS)).status).toBe(200);
  });

  it('serves health, readiness and metrics on the internal address only', async () => {
    expect((await fetch(`${gateway.internalUrl}/healthz`)).status).toBe(200);
    expect((await fetch(`${gateway.internalUrl}/readyz`)).status).toBe(200);
    const metrics = await (await fetch(`${gateway.internalUrl}/metrics`)).text();
    expect(metrics).toMatch(/orama_gateway_requests_total\{route="\/v1\/webrtc\/rooms",method="GET",status="200"/);
    expect(metrics).not.toContain('demo');
    expect((await call(gateway, 'GET', '/metrics')).status).toBe(404);
  });
});

describe('limits', () => {
  it('answers 429 with Retry-After above the rate of a source, and of a key', async () => {
    const bed = await Bed.open(['demo', 'other']);
    try {
      const clock = new VirtualClock(Date.now());
      const bySource = await bed.startGateway({
        clock,
        config: { limits: { requestsPerSource: { burst: 3, perSec: 1 } } },
      });
      for (let n = 0; n < 3; n++) expect((await call(bySource, 'GET', ROOMS)).status).toBe(200);
      const refused = await call(bySource, 'GET', ROOMS);
      expect([refused.status, refused.body.error.code, refused.headers['retry-after']]).toEqual([
        429,
        'RATE_LIMITED',
        '1',
      ]);
      clock.advance(1_000);
      expect((await call(bySource, 'GET', ROOMS)).status).toBe(200);

      const byKey = await bed.startGateway({ clock, config: { limits: { requestsPerKey: { burst: 2, perSec: 1 } } } });
      for (let n = 0; n < 2; n++) expect((await call(byKey, 'GET', ROOMS)).status).toBe(200);
      expect((await call(byKey, 'GET', ROOMS)).status).toBe(429);
      const otherKey = await call(byKey, 'GET', ROOMS, { host: `ns-other.${BASE_DOMAIN}`, key: apiKeyOf('other') });
      expect(otherKey.status).toBe(200);
    } finally {
      await bed.close();
    }
  });

  it('honours the revocation of a key within two seconds', async () => {
    const bed = await Bed.open(['demo']);
    try {
      const clock = new VirtualClock(Date.now());
      const gateway = await bed.startGateway({ clock });
      expect((await call(gateway, 'GET', ROOMS)).status).toBe(200);
      await bed.revokeKey('demo');
      clock.advance(2_000);
      expect((await call(gateway, 'GET', ROOMS)).status).toBe(401);
    } finally {
      await bed.close();
    }
  });
});
