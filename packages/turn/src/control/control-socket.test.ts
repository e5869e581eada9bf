import { statSync, writeFileSync } from 'node:fs';
import { silentLogger, turnTenantDigest } from '@orama/core';
import { turnTenantListSchema, turnTenantSchema, turnTenantStatusSchema } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TenantDirectory } from '../tenant/directory.ts';
import { Peer, RELAY_IP, SECRET, SFU_IP, TurnHarness } from '../testing/harness.ts';
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

test('PUT again with a new secret, quota and policy keeps allocations and ends what is no longer allowed', async () => {
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

  const changed = { ...settings, peers: both.slice(0, 1), maxAllocations: 1, generation: 8 };
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
  ['PUT', '/tenants/third', other, 400],
  ['PUT', '/tenants/other', { ...other, relay: { ...other.relay, portEnd: 49_999 } }, 400],
  ['PUT', '/tenants/other', { ...other, relay: { ...other.relay, address: '0.0.0.0' } }, 400],
  ['PUT', '/tenants/other', { ...other, relay: { ...other.relay, address: '::1' } }, 400],
  ['PUT', '/tenants/Not-A-Name', other, 400],
  ['PUT', '/tenants/other', 'x'.repeat(300 * 1024), 413],
  ['POST', '/tenants/other', other, 405],
  ['GET', '/elsewhere', undefined, 404],
])('%s %s with a body that does not fit is answered with an error', async (method, path, body, status) => {
  const reply = await turn.control(method, path, body);
  expect(reply).toMatchObject({ status, body: { error: { message: expect.any(String) } } });
  expect(turn.service.tenants.size).toBe(1);
});

test('a second server refuses a socket that is answered, and takes over one that is left behind', async () => {
  const tenants = new TenantDirectory({
    workers: [],
    ownAddresses: [],
    external: {},
    nowMs: () => 0,
    onAllocationEnded: () => undefined,
    logger: silentLogger,
  });
  const second = new ControlSocket({ path: turn.controlSocket, tenants, logger: silentLogger });
  await expect(second.start()).rejects.toThrow('in use by another TURN server');
  await turn.service.close();
  writeFileSync(turn.controlSocket, '');
  await second.start();
  expect((await turn.control('GET', '/tenants')).body).toEqual({ tenants: [] });
  await second.close();
});
