import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { turnTenantDigest } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import {
  turnPeerVerdictSchema,
  turnServerStatusSchema,
  turnTenantListSchema,
  turnTenantSchema,
  turnTenantStatusSchema,
  turnUsageSchema,
} from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TenantDirectory } from '../tenant/directory.ts';
import { Peer, PUBLIC_IP, RELAY_IP, SECRET, SFU_IP, TurnHarness } from '../testing/harness.ts';
import { ControlSocket } from './control-socket.ts';

let turn: TurnHarness;
beforeEach(async () => {
  turn = await TurnHarness.start();
});
afterEach(() => turn.close());

const other = {
  namespace: 'other',
  secrets: ['the-secret-of-the-other'],
  relay: { address: RELAY_IP, portStart: 50_000, portEnd: 50_099 },
  peers: [{ ip: SFU_IP, portStart: 20_000, portEnd: 65_535 }],
  generation: 7,
};

test('only the owner may open the socket', () => {
  expect(statSync(turn.controlSocket).mode & 0o777).toBe(0o600);
});

test('PUT refuses a relay block with a port of the server itself, and says what to do', async () => {
  const relay = { address: PUBLIC_IP, portStart: turn.port, portEnd: turn.port };
  expect(await turn.control('PUT', '/tenants/other', { ...other, relay })).toMatchObject({
    status: 400,
    body: { error: { message: expect.stringContaining('relay.portStart, relay.portEnd: ') } },
  });
});

test('PUT attaches a tenant that then serves, GET lists it without its secrets, DELETE ends it', async () => {
  const put = await turn.control('PUT', '/tenants/other', other);
  expect(put.status).toBe(200);
  expect(turnTenantStatusSchema.parse(put.body)).toEqual({
    namespace: 'other',
    generation: 7,
    digest: turnTenantDigest(turnTenantSchema.parse(other)),
    allocations: 0,
  });

  const client = await turn.client('udp', turn.credentials('other', 600, 'the-secret-of-the-other'));
  const { relayed } = await client.allocate();
  const list = await turn.control('GET', '/tenants');
  expect(JSON.stringify(list.body)).not.toContain('secret');
  expect(turnTenantListSchema.parse(list.body).tenants).toMatchObject([
    { namespace: 'demo', allocations: 0 },
    { namespace: 'other', allocations: 1 },
  ]);

  expect(await turn.control('DELETE', '/tenants/other')).toEqual({ status: 204, body: undefined });
  const again = await Peer.open(RELAY_IP, relayed.port);
  await again.close();
  await expect(client.refresh()).rejects.toMatchObject({ code: 401 });
  expect(await turn.control('DELETE', '/tenants/other')).toMatchObject({
    status: 404,
    body: { error: { code: 'NAMESPACE_NOT_FOUND' } },
  });
});

test('DELETE ends the allocations of that tenant only', async () => {
  await turn.control('PUT', '/tenants/other', other);
  const mine = await turn.client();
  const theirs = await turn.client('tcp', turn.credentials('other', 600, 'the-secret-of-the-other'));
  await mine.allocate();
  await theirs.allocate();
  await turn.control('DELETE', '/tenants/other');
  await theirs.disconnected;
  expect(await mine.refresh()).toBe(600);
});

test('PUT again with a rotated secret, new quota and policy keeps allocations and ends what is no longer allowed', async () => {
  const [sfu, gone] = [await turn.peer(), await turn.peer('127.81.0.3')];
  const both = [
    { ip: SFU_IP, portStart: 1, portEnd: 65_535 },
    { ip: '127.81.0.3', portStart: 1, portEnd: 65_535 },
  ];
  const settings = { ...other, namespace: 'demo', relay: { address: RELAY_IP, portStart: 49_152, portEnd: 49_951 } };
  await turn.control('PUT', '/tenants/demo', { ...settings, secrets: [SECRET], peers: both });
  const client = await turn.client();
  await client.allocate();
  await client.channelBind(0x4000, sfu.address, sfu.port);
  await client.channelBind(0x4001, gone.address, gone.port);

  const secrets = [...settings.secrets, SECRET];
  const changed = { ...settings, secrets, peers: both.slice(0, 1), maxAllocations: 1, generation: 8 };
  expect((await turn.control('PUT', '/tenants/demo', changed)).body).toMatchObject({ allocations: 1, generation: 8 });
  client.channelData(0x4001, Buffer.from('gone'));
  client.channelData(0x4000, Buffer.from('here'));
  expect((await sfu.next()).data.toString()).toBe('here');
  expect(gone.waiting).toBe(0);
  await expect(client.createPermission('127.81.0.3')).rejects.toMatchObject({ code: 403 });
  expect(await client.refresh()).toBe(600);
  const fresh = await turn.client('udp', turn.credentials('demo', 600, 'the-secret-of-the-other'));
  await expect(fresh.allocate()).rejects.toMatchObject({ code: 486 });
});

test('PUT with another relay block ends the allocations outside of it only', async () => {
  const client = await turn.client();
  const { relayed } = await client.allocate();
  await turn.attach({
    relay: { address: RELAY_IP, portStart: relayed.port, portEnd: relayed.port + 5 },
    generation: 2,
  });
  expect(await client.refresh()).toBe(600);
  await turn.attach({ relay: { address: RELAY_IP, portStart: 50_000, portEnd: 50_010 }, generation: 3 });
  await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
  expect((await client.allocate()).relayed.port).toBeGreaterThanOrEqual(50_000);
});

test.each([
  ['PUT', '/tenants/other', 'not json', 400],
  ['PUT', '/tenants/other', { ...other, secrets: [] }, 400],
  ['PUT', '/tenants/other', { ...other, surprise: 1 }, 400],
  ['PUT', '/tenants/other', { ...other, relay: { ...other.relay, surprise: 1 } }, 400],
  ['PUT', '/tenants/third', other, 400],
  ['PUT', '/tenants/other', { ...other, relay: { ...other.relay, portEnd: 49_999 } }, 400],
  ['PUT', '/tenants/other', { ...other, relay: { ...other.relay, address: '0.0.0.0' } }, 400],
  ['PUT', '/tenants/other', { ...other, relay: { ...other.relay, address: '::1' } }, 400],
  ['PUT', '/tenants/Not-A-Name', other, 400],
  ['PUT', '/tenants/other', 'x'.repeat(300 * 1024), 413],
  ['POST', '/tenants/other', other, 405],
  ['POST', '/drain', { deadlineMs: 0 }, 400],
  ['POST', '/drain', { deadline: 5 }, 400],
  ['GET', '/tenants/demo/peers/not-an-address', undefined, 400],
  ['GET', '/tenants/demo/peers/127.81.0.2?port=0', undefined, 400],
  ['GET', '/tenants/demo/peers/127.81.0.2?port=0x10', undefined, 400],
  ['GET', '/tenants/demo/peers/127.81.0.2?port=1e3', undefined, 400],
  ['GET', '/tenants/demo/peers/127.81.0.2?port=%2016', undefined, 400],
  ['GET', '/tenants/demo/peers/127.81.0.2?port=', undefined, 400],
  ['GET', '/tenants/third/peers/127.81.0.2', undefined, 404],
  ['GET', '/tenants/demo/peers/%', undefined, 400],
  ['GET', '/elsewhere', undefined, 404],
])('%s %s with a body that does not fit is answered with an error', async (method, path, body, status) => {
  const reply = await turn.control(method, path, body);
  expect(reply).toMatchObject({ status, body: { error: { message: expect.any(String) } } });
  expect(turn.service.tenants.size).toBe(1);
});

test('PUT with ports of another tenant on the same address is refused, and names both', async () => {
  const overlap = { ...other, relay: { ...other.relay, portStart: 49_951, portEnd: 50_000 } };
  expect(await turn.control('PUT', '/tenants/other', overlap)).toMatchObject({
    status: 409,
    body: {
      error: {
        code: 'CONFLICT',
        message: expect.stringMatching(/relay\.portStart.*49951-50000.*127\.81\.0\.1.*49152-49951 of namespace demo/),
      },
    },
  });
  const inside = {
    ...other,
    relay: { ...other.relay, address: '127.81.0.8', innerAddress: RELAY_IP, portStart: 49_200 },
  };
  expect((await turn.control('PUT', '/tenants/other', inside)).status).toBe(409);
  const elsewhere = { ...overlap, relay: { ...overlap.relay, address: '127.81.0.8' } };
  expect((await turn.control('PUT', '/tenants/other', elsewhere)).status).toBe(200);
});

test('GET peers names the rule of the peer policy', async () => {
  const verdict = async (peer: string) => (await turn.control('GET', `/tenants/demo/peers/${peer}`)).body;
  const ports = [{ start: 20_000, end: 65_535 }];
  expect(await verdict(SFU_IP)).toEqual({ allowed: true, rule: 'peers', ports });
  expect(await verdict(`${SFU_IP}?port=20000`)).toEqual({ allowed: true, rule: 'peers', ports });
  expect(await verdict(`${SFU_IP}?port=19999`)).toEqual({ allowed: false, rule: 'peer-port', ports });
  expect(await verdict('169.254.169.254')).toEqual({ allowed: false, rule: 'metadata' });
  expect(await verdict('2001%3Adb8%3A%3A1')).toMatchObject({ allowed: false });
  expect(turnPeerVerdictSchema.parse(await verdict('8.8.8.8')).allowed).toBe(false);
});

test('GET /status and GET /usage tell of the whole server', async () => {
  const client = await turn.client();
  const peer = await turn.peer();
  await client.allocate();
  await client.channelBind(0x4000, peer.address, peer.port);
  client.channelData(0x4000, Buffer.alloc(10));
  await peer.next();
  const status = turnServerStatusSchema.parse((await turn.control('GET', '/status')).body);
  expect(status).toMatchObject({
    allocations: 1,
    relayPortsBound: 1,
    draining: false,
    workers: [{ id: 0, allocations: 1 }],
    certificates: [{ name: null, selfSigned: true }],
  });
  expect(status.drainEndsAt).toBeUndefined();
  const usage = turnUsageSchema.parse((await turn.control('GET', '/usage')).body);
  expect(usage.tenants).toEqual([
    { namespace: 'demo', toPeerPackets: 1, toPeerBytes: 10, toClientPackets: 0, toClientBytes: 0, allocations: 1 },
  ]);
  expect(turnUsageSchema.parse((await turn.control('GET', '/usage')).body).boot).toBe(usage.boot);
});

test('POST /drain says until when, and the server ends with its last allocation', async () => {
  const client = await turn.client();
  await client.allocate();
  const nowMs = Date.now();
  const { body } = await turn.control('POST', '/drain', { deadlineMs: 600_000 });
  const { draining, drainEndsAt } = turnServerStatusSchema.parse(body);
  expect(draining).toBe(true);
  expect(drainEndsAt).toBeGreaterThanOrEqual(nowMs + 600_000);
  await expect((await turn.client()).allocate()).rejects.toMatchObject({ code: 508 });
  await client.refresh(0);
  await turn.service.ended;
  await expect(turn.control('GET', '/status')).rejects.toThrow();
});

/** A control socket for another server, with nothing behind it. */
function secondSocket(path: string): ControlSocket {
  const tenants = new TenantDirectory({
    workers: [],
    ownAddresses: [],
    interfaces: () => [],
    external: {},
    maxAllocationsPerSource: 1,
    nowMs: () => 0,
    onAllocationEnded: () => undefined,
    logger: silentLogger,
  });
  const server = {
    listen: [PUBLIC_IP],
    port: 3478,
    tls: false as const,
    internal: { address: RELAY_IP, port: 6003 },
    external: {},
  };
  return new ControlSocket({ path, server, tenants, logger: silentLogger });
}

test('a second server refuses a socket that is answered, and takes over one that is left behind', async () => {
  const second = secondSocket(turn.controlSocket);
  await expect(second.start()).rejects.toThrow('in use by another TURN server');
  await turn.service.close();
  const killed = `process.getBuiltinModule('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', killed, turn.controlSocket]);
  expect(lstatSync(turn.controlSocket).isSocket()).toBe(true);
  await second.start();
  expect((await turn.control('GET', '/tenants')).body).toEqual({ tenants: [] });
  await second.close();
});

test('a second server leaves the socket of one that is too busy to answer, and does not start', async () => {
  const path = `${turn.controlSocket}.busy`;
  const listening = `process.getBuiltinModule('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => console.log())`;
  const busy = spawn(process.execPath, ['-e', listening, path]);
  const waiting: Socket[] = [];
  try {
    await once(busy.stdout, 'data');
    busy.kill('SIGSTOP');
    for (let full = false; !full; ) {
      const socket = connect({ path });
      waiting.push(socket);
      full = await once(socket, 'connect').then(
        () => false,
        () => true,
      );
    }
    await expect(secondSocket(path).start()).rejects.toThrow('in use by another TURN server');
    expect(lstatSync(path).isSocket()).toBe(true);
  } finally {
    for (const socket of waiting) socket.destroy();
    busy.kill('SIGKILL');
    await once(busy, 'close');
  }
});

test('a file at the path of the socket is left as it is, and the server does not start', async () => {
  const path = `${turn.controlSocket}.txt`;
  writeFileSync(path, 'precious');
  await expect(secondSocket(path).start()).rejects.toThrow(`controlSocket ${path} is there already and is no socket`);
  expect(readFileSync(path, 'utf8')).toBe('precious');
});
