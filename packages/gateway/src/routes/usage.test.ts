import { errorBodySchema, usageSchema } from '@orama/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiKeyOf, BASE_DOMAIN, Bed, type RunningGateway } from '../../testing/bed.ts';
import { call } from '../../testing/client.ts';

const HOUR = 3_600_000;
const USAGE = '/v1/webrtc/usage';
let bed: Bed;
let gateway: RunningGateway;
/** The hour that it is now. */
const hourMs = Math.floor(Date.now() / HOUR) * HOUR;

beforeAll(async () => {
  bed = await Bed.open(['demo']);
  await bed.addNamespace('plain');
  gateway = await bed.startGateway();
  const counters = { bytesIn: 10, bytesOut: 20, packetsIn: 1, packetsOut: 2, allocations: 3 };
  await bed.store.db.batch(
    [0, 1, 30, 24 * 400].map((hours) =>
      bed.store.usage.add({ namespace: 'demo', hourMs: hourMs - hours * HOUR, ...counters }),
    ),
  );
});
afterAll(() => bed.close());

const iso = (ms: number) => new Date(ms).toISOString();

test('GET usage answers the hours of the last day with their total, oldest first', async () => {
  const answer = await call(gateway, 'GET', USAGE);
  expect(answer.status).toBe(200);
  expect(answer.headers['cache-control']).toBe('no-store');
  const usage = usageSchema.parse(answer.body);
  expect(usage.hours.map(({ hour }) => hour)).toEqual([iso(hourMs - HOUR), iso(hourMs)]);
  expect(usage.hours[0]).toMatchObject({ relayed_bytes_in: 10, relayed_bytes_out: 20, allocations: 3 });
  expect(usage.total).toMatchObject({ relayed_bytes_in: 20, relayed_packets_out: 4, allocations: 6 });
});

test('GET usage?from&to answers the hours from the one that `from` is in, before `to`', async () => {
  const query = new URLSearchParams({ from: iso(hourMs - 30 * HOUR + 60_000), to: iso(hourMs) });
  const usage = usageSchema.parse((await call(gateway, 'GET', `${USAGE}?${query}`)).body);
  expect(usage.from).toBe(iso(hourMs - 30 * HOUR));
  expect(usage.hours.map(({ hour }) => hour)).toEqual([iso(hourMs - 30 * HOUR), iso(hourMs - HOUR)]);
});

test.each([
  ['from=yesterday', 'from'],
  ['to=2026-11-21', 'to'],
  ['since=2026-11-21T00:00:00Z', 'since'],
  ['from=2026-11-21T00:00:00Z&to=2026-11-21T00:00:00Z', 'from must be before to'],
  ['from=2126-11-21T00:00:00Z', 'from must be before now'],
  ['from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'from is more than 366 days'],
  ['from=2026-11-20T00:00:00Z&from=2026-11-21T00:00:00Z', 'from'],
])('GET usage?%s is refused, naming the parameter', async (query, says) => {
  const answer = await call(gateway, 'GET', `${USAGE}?${query}`);
  expect(answer.status).toBe(400);
  expect(errorBodySchema.parse(answer.body).error).toMatchObject({
    code: 'INVALID_REQUEST',
    message: expect.stringContaining(says),
  });
});

test('GET usage is the caller’s own namespace’s, without WebRTC as well, and for nobody without a key', async () => {
  const plain = await call(gateway, 'GET', USAGE, { host: `ns-plain.${BASE_DOMAIN}`, key: apiKeyOf('plain') });
  expect(plain.body).toMatchObject({ namespace: 'plain', hours: [], total: { relayed_bytes_in: 0 } });
  expect((await call(gateway, 'GET', USAGE, { key: 'ok_wrong' })).status).toBe(401);
  expect((await call(gateway, 'POST', USAGE)).status).toBe(405);
});
