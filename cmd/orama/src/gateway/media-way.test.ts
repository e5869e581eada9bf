import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueTurnCredentials, VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { TurnService } from '@orama/turn';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openMediaWay } from './media-way.ts';

const PUBLIC_IP = '127.126.1.32';
const RELAY_IP = '127.126.0.32';
/** Has nothing but what a test puts there. */
const OTHER_IP = '127.126.1.33';
const SECRET = 'a-secret-of-the-tenant-on-its-way';

let dir: string;
let turn: TurnService;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'media-way-'));
  const config = { node: 'node-1', listen: [PUBLIC_IP], workers: 1, realm: 'orama.localhost' };
  const internal = { controlSocket: join(dir, 'turn.sock'), internal: { address: RELAY_IP } };
  turn = new TurnService(turnConfigSchema.parse({ ...config, ...internal }), silentLogger);
  await turn.start();
  const relay = { address: RELAY_IP, portStart: 50_000, portEnd: 50_009 };
  await turn.tenants.attach(
    turnTenantSchema.parse({ namespace: 'demo', secrets: [SECRET], relay, peers: [], generation: 1 }),
  );
});
afterAll(async () => {
  await turn.close();
  rmSync(dir, { recursive: true });
});

/** By a clock that moves only when told to: a busy machine takes nobody's head start. */
function open(...uris: string[]) {
  const clock = new VirtualClock();
  const named = { secret: SECRET, namespace: 'demo', ttlSec: 600, uris, nowMs: Date.now() };
  return { clock, way: openMediaWay(issueTurnCredentials(named), () => undefined, clock) };
}

test('UDP is taken before TCP where both go, whatever their order, and the other is not asked', async () => {
  const uris = [`turn:${PUBLIC_IP}:3478?transport=tcp`, `turn:${PUBLIC_IP}:3478?transport=udp`];
  const way = await open(...uris).way;
  expect(way.turn.connectMs).toBe(0);
  expect(turn.tenants.allocationCount).toBe(1);
  await way.close();
  expect(turn.tenants.allocationCount).toBe(0);
});

test('a way that answers nothing is not waited for, and given back when it opens too late', async () => {
  const late = createSocket('udp4').bind(3478, OTHER_IP);
  const onward = createSocket('udp4').bind(0, OTHER_IP);
  await Promise.all([once(late, 'listening'), once(onward, 'listening')]);
  const { promise: isTaken, resolve: taken } = Promise.withResolvers<void>();
  let client = 0;
  late.on('message', (packet, from) => {
    client = from.port;
    void isTaken.then(() => onward.send(packet, 3478, PUBLIC_IP));
  });
  onward.on('message', (packet) => late.send(packet, client, '127.0.0.1'));

  const opening = open(`turn:${OTHER_IP}?transport=udp`, `turn:${PUBLIC_IP}?transport=tcp`);
  opening.clock.advance(300);
  const way = await opening.way;
  const made = () => turn.usage().then(({ tenants }) => tenants[0]?.allocations ?? 0);
  const before = await made();
  taken();
  await expect.poll(made).toBe(before + 1);
  await expect.poll(() => turn.tenants.allocationCount).toBe(1);
  await way.close();
  late.close();
  onward.close();
});

test('where no way opens each server is told with why', async () => {
  const uris = [`turn:${OTHER_IP}?transport=tcp`, `turns:${PUBLIC_IP}:5349?transport=tcp`];
  await expect(open(...uris).way).rejects.toThrow(
    new RegExp(`gives a way: ${uris[0]?.replace('?', '\\?')}: .*ECONNREFUSED.*; turns:.*self-signed`),
  );
  await expect(open().way).rejects.toThrow('it has none');
});
