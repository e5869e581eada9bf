import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, issueTurnCredentials, turnPassword, UserError } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { type TurnConfigInput, type TurnTenantInput, turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TurnClient } from '../client/turn-client.ts';
import { ATTRIBUTE, CLASS, longTermKey, METHOD, StunWriter } from '../stun/index.ts';
import { freePort, Peer } from '../testing/harness.ts';
import { NodeTurnService } from './node-turn-service.ts';

const SECRET = 'a-secret-of-the-demo-tenant';
const LISTEN_IP = '127.94.1.60';
const RELAY_IP = '127.94.0.60';
const PEER_IP = '127.94.2.60';

let dir: string;
let port: number;
let config: TurnConfigInput;
let turn: NodeTurnService;
let closers: (() => unknown)[];

beforeEach(async () => {
  closers = [];
  dir = mkdtempSync(join(tmpdir(), 'node-turn-'));
  port = await freePort(LISTEN_IP);
  config = {
    node: 'node-1',
    listen: [LISTEN_IP],
    port,
    tls: false,
    engine: 'node-turn',
    realm: 'orama.localhost',
    controlSocket: join(dir, 'turn.sock'),
    internal: { address: RELAY_IP, port: await freePort(RELAY_IP) },
  };
  turn = new NodeTurnService(turnConfigSchema.parse(config), silentLogger);
  await turn.start();
  await attach();
});
afterEach(async () => {
  vi.useRealTimers();
  for (const close of closers) await close();
  await turn.stop();
  rmSync(dir, { recursive: true, force: true });
});

function attach(tenant: Partial<TurnTenantInput> = {}) {
  return turn.tenants.attach(
    turnTenantSchema.parse({
      namespace: 'demo',
      secrets: [SECRET],
      relay: { address: RELAY_IP, portStart: 49_152, portEnd: 49_951 },
      peers: [],
      generation: 1,
      ...tenant,
    }),
  );
}

async function client(options: { username?: string; password?: string } = {}): Promise<TurnClient> {
  const { username, password } = credentials();
  const opened = await TurnClient.open({
    transport: 'udp',
    server: { address: LISTEN_IP, port },
    localAddress: '127.94.3.60',
    username,
    password,
    ...options,
  });
  closers.push(() => opened.close());
  return opened;
}

function credentials(namespace = 'demo', ttlSec = 600) {
  return issueTurnCredentials({ secret: SECRET, namespace, ttlSec, uris: [], nowMs: Date.now() });
}

async function openPeer(): Promise<Peer> {
  const peer = await Peer.open(PEER_IP, 0);
  closers.push(() => peer.close());
  return peer;
}

/** Succeeds once nobody else has the port. */
async function isFree(relayPort: number): Promise<boolean> {
  try {
    await (await Peer.open(RELAY_IP, relayPort)).close();
    return true;
  } catch {
    return false;
  }
}

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('node-turn as patched', () => {
  test.each(['constructor', 'toString', '__proto__'])('nobody is called %s', async (username) => {
    const native = String(({} as Record<string, unknown>)[username]);
    for (const password of [native, turnPassword(SECRET, username)]) {
      await expect((await client({ username, password })).allocate()).rejects.toMatchObject({ code: 401 });
    }
  });

  test('a password is computed from the tenant’s secret until it expires', async () => {
    expect((await (await client()).allocate()).lifetimeSec).toBe(600);
    await expect((await client(credentials('demo', -1))).allocate()).rejects.toMatchObject({ code: 401 });
    await expect((await client(credentials('other'))).allocate()).rejects.toMatchObject({ code: 401 });
  });

  test.each([
    ['one byte', Buffer.of(7)],
    ['nothing', Buffer.alloc(0)],
    ['what looks like ChannelData', Buffer.of(0x40, 0, 0, 1, 9)],
  ])('a peer may send %s', async (_what, payload) => {
    const [alice, peer] = [await client(), await openPeer()];
    const { relayed } = await alice.allocate();
    await alice.createPermission(PEER_IP);
    let data = alice.nextData();
    peer.send(payload, relayed.port, RELAY_IP);
    expect((await data).data).toEqual(payload);
    await alice.channelBind(0x4001, PEER_IP, peer.port);
    data = alice.nextData();
    peer.send(payload, relayed.port, RELAY_IP);
    expect(await data).toMatchObject({ data: payload, channel: 0x4001 });
  });

  test('Refresh gives the lifetime it says, and the allocation lives on', async () => {
    const [alice, peer] = [await client(), await openPeer()];
    await alice.allocate();
    expect(await alice.refresh()).toBe(600);
    expect(await alice.refresh(1200)).toBe(1200);
    expect(await alice.refresh(1_000_000)).toBe(3600);
    await alice.createPermission(PEER_IP);
    alice.send(PEER_IP, peer.port, Buffer.from('still here'));
    expect((await peer.next()).data.toString()).toBe('still here');
  });

  test('ChannelData of a client reaches the peer of its channel, and nobody without a channel', async () => {
    const [alice, peer] = [await client(), await openPeer()];
    await alice.allocate();
    await alice.channelBind(0x4001, PEER_IP, peer.port);
    alice.sendRaw(Buffer.of(0x40));
    alice.channelData(0x4002, Buffer.from('unbound'));
    (await client()).channelData(0x4001, Buffer.from('a stranger’s'));
    await alice.binding();
    alice.channelData(0x4001, Buffer.from('bound'));
    expect((await peer.next()).data.toString()).toBe('bound');
  });

  test('Refresh with lifetime 0 closes the relay socket', async () => {
    const alice = await client();
    const { relayed } = await alice.allocate();
    expect(await isFree(relayed.port)).toBe(false);
    await alice.refresh(0);
    await expect.poll(() => isFree(relayed.port)).toBe(true);
    expect(turn.tenants.list()[0]?.allocations).toBe(0);
  });

  test('a lifetime that ends closes the relay socket, after Allocate and after Refresh', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const [alice, bob] = [await client(), await client()];
    const first = await alice.allocate();
    const second = await bob.allocate();
    await bob.refresh(1200);
    vi.advanceTimersByTime(600_000);
    vi.useRealTimers();
    await expect.poll(() => isFree(first.relayed.port)).toBe(true);
    expect(await isFree(second.relayed.port)).toBe(false);
  });

  test('a second Allocate from one 5-tuple leaves no socket behind', async () => {
    const alice = await client();
    const first = await alice.allocate();
    await alice.allocate();
    await expect.poll(() => isFree(first.relayed.port)).toBe(true);
  });

  test('nonces take no memory and no timers, and are told from made-up ones', async () => {
    const alice = await client();
    await alice.allocate();
    const before = timers();
    for (let n = 0; n < 50; n++) {
      await alice.request(METHOD.allocate, undefined, { credentials: false }).catch(() => undefined);
    }
    expect(timers()).toBeLessThanOrEqual(before);
    const { username, password } = credentials();
    const madeUp = `${(Date.now() + 60_000).toString(16)}-${'0'.repeat(32)}`;
    const request = new StunWriter(METHOD.refresh, CLASS.request, Buffer.alloc(12))
      .text(ATTRIBUTE.username, username)
      .text(ATTRIBUTE.realm, 'orama.localhost')
      .text(ATTRIBUTE.nonce, madeUp)
      .finish({ key: longTermKey(username, 'orama.localhost', password) });
    expect((await alice.exchange(request)).errorCode).toBe(438);
  });
});

describe('the engine node-turn', () => {
  test.each([
    ['listen', { listen: [LISTEN_IP, '192.0.2.1'] }],
    ['tls', { tls: {} }],
    ['workers', { workers: 2 }],
    ['external', { external: { [LISTEN_IP]: '192.0.2.1' } }],
  ])('refuses what it has not: %s', (field, change) => {
    const make = () => new NodeTurnService(turnConfigSchema.parse({ ...config, ...change }), silentLogger);
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(field);
  });

  test.each([
    ['relay.address', { relay: { address: '10.0.0.1', portStart: 49_152, portEnd: 49_951 } }],
    ['address6', { relay: { address: RELAY_IP, address6: '::1', portStart: 49_152, portEnd: 49_951 } }],
    ['bytesPerSec', { bytesPerSec: 1000 }],
    ['alternates', { alternates: [{ address: '127.0.0.1', port: 3478 }] }],
    ['second secret', { secrets: [SECRET, 'the-secret-before-the-rotation'] }],
    ['retiredSecrets', { retiredSecrets: ['the-secret-before-the-rotation'] }],
  ])('refuses a tenant with %s', async (field, change) => {
    await expect(attach(change)).rejects.toThrow(UserError);
    await expect(attach(change)).rejects.toThrow(field);
  });

  test('has one relay range, which all tenants share', async () => {
    await attach({ namespace: 'other' });
    const relay = { address: RELAY_IP, portStart: 50_000, portEnd: 50_010 };
    await expect(attach({ namespace: 'third', relay })).rejects.toThrow('one relay range');
    await turn.tenants.detach('other');
    await attach({ relay });
    const { relayed } = await (await client()).allocate();
    expect(relayed.port).toBeGreaterThanOrEqual(50_000);
    expect(relayed.port).toBeLessThanOrEqual(50_010);
  });

  test('keeps a tenant’s quota, and ends its allocations with it', async () => {
    await attach({ maxAllocations: 1 });
    const { relayed } = await (await client()).allocate();
    await expect((await client()).allocate()).rejects.toMatchObject({ code: 486 });
    expect(await turn.tenants.detach('demo')).toBe(true);
    expect(await turn.tenants.detach('demo')).toBe(false);
    await expect.poll(() => isFree(relayed.port)).toBe(true);
    await expect((await client()).allocate()).rejects.toMatchObject({ code: 401 });
  });

  test('a port in use ends the start with an error, and leaves nothing open', async () => {
    const internal = { address: RELAY_IP, port: await freePort(RELAY_IP) };
    const parsed = turnConfigSchema.parse({ ...config, controlSocket: join(dir, 'second.sock'), internal });
    await expect(new NodeTurnService(parsed, silentLogger).start()).rejects.toThrow('listen, port: UDP port');
    await expect(fetch(`http://${internal.address}:${internal.port}/healthz`)).rejects.toThrow();
  });

  test('is alive and ready over internal HTTP', async () => {
    const { address, port: internalPort } = turnConfigSchema.parse(config).internal;
    const health = await fetch(`http://${address}:${internalPort}/healthz`);
    expect(await health.json()).toMatchObject({ engine: 'node-turn', tenants: 1 });
    expect((await fetch(`http://${address}:${internalPort}/readyz`)).status).toBe(200);
  });
});
