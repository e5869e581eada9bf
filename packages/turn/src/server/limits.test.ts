import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { TurnClient } from '../client/turn-client.ts';
import { ATTRIBUTE, CLASS, longTermKey, METHOD, StunWriter } from '../stun/index.ts';
import { PeerPolicy } from '../tenant/peer-policy.ts';
import { CLIENT_IP, REALM, RELAY_IP, SFU_IP, TurnHarness } from '../testing/harness.ts';

let turn: TurnHarness;
beforeEach(async () => {
  turn = await TurnHarness.start({ maxAllocationsPerSource: 2 });
});
afterEach(() => turn.close());

test('a source cannot take more of a tenant than its share, with however many credentials', async () => {
  for (let n = 0; n < 2; n++) await (await turn.client('udp', turn.credentials('demo', 600 + n))).allocate();
  const third = await turn.client('tcp', turn.credentials('demo', 700));
  await expect(third.allocate()).rejects.toMatchObject({ code: 486 });
  await (await turn.client('udp', { localAddress: '127.81.3.2' })).allocate();
});

test('a source that promises itself ports over and over is stopped by its share', async () => {
  const client = await turn.client();
  const pair = (writer: StunWriter) => writer.bytes(ATTRIBUTE.evenPort, Buffer.of(0x80));
  await client.allocate({ fill: pair });
  await client.refresh(0);
  await expect(client.allocate({ fill: pair })).rejects.toMatchObject({ code: 486 });
  expect(turn.ledger.portCount).toBe(1);
});

test('requests in one go cannot install more permissions or channels than an allocation may hold', async () => {
  await turn.attach({ allowPublicPeers: true, generation: 2 });
  const client = await turn.client('tcp');
  await client.allocate();
  const hundred = (block: number) =>
    client.buildRequest(METHOD.createPermission, (writer) => {
      for (let n = 0; n < 100; n++) writer.address(ATTRIBUTE.xorPeerAddress, `8.8.${block}.${n}`, 0);
    });
  const channel = (n: number) =>
    client.buildRequest(METHOD.channelBind, (writer) =>
      writer
        .uint32(ATTRIBUTE.channelNumber, (0x4000 + n) * 0x10000)
        .address(ATTRIBUTE.xorPeerAddress, '8.8.0.1', 1 + n),
    );
  const codes = (requests: Buffer[]) =>
    Promise.all(requests.map(async (request) => (await client.exchange(request)).errorCode ?? 200));
  expect(await codes([hundred(0), hundred(1), hundred(2), hundred(3)])).toEqual([200, 200, 508, 508]);
  const bound = await codes(Array.from({ length: 300 }, (_, n) => channel(n)));
  expect(bound.filter((code) => code === 200)).toHaveLength(256);
  expect(bound.filter((code) => code === 508)).toHaveLength(44);
  // What is bound can be refreshed.
  expect(await codes([channel(0)])).toEqual([200]);
});

test('a request that names thousands of peers has none of them judged, and one that repeats a peer has it judged once', async () => {
  await turn.attach({ allowPublicPeers: true, generation: 2 });
  const client = await turn.client('tcp');
  await client.allocate();
  const judge = vi.spyOn(PeerPolicy.prototype, 'judge');
  try {
    const permit = (address: (n: number) => string) =>
      client.request(METHOD.createPermission, (writer) => {
        for (let n = 0; n < 5000; n++) writer.address(ATTRIBUTE.xorPeerAddress, address(n), 0);
      });
    await expect(permit((n) => `8.8.${n >> 8}.${n & 255}`)).rejects.toMatchObject({ code: 508 });
    expect(judge).toHaveBeenCalledTimes(0);
    await permit(() => SFU_IP);
    expect(judge).toHaveBeenCalledTimes(1);
  } finally {
    judge.mockRestore();
  }
});

test('relay sockets leave the rest of the server its open files: 508, until one is closed', async () => {
  await turn.close();
  // 83 are the server's own, 8 those of connections.
  turn = await TurnHarness.start({}, undefined, undefined, undefined, 100);
  const clients: TurnClient[] = [];
  for (let n = 0; n < 9; n++) {
    const client = await turn.client();
    await client.allocate();
    clients.push(client);
  }
  const late = await turn.client();
  await expect(late.allocate()).rejects.toMatchObject({ code: 508 });
  expect([turn.portsBound, turn.ledger.leaseCount]).toEqual([9, 9]);
  await clients[0]?.refresh(0);
  await late.allocate();
  await expect((await turn.client()).allocate()).rejects.toMatchObject({ code: 508 });
});

test('a relay socket that cannot be opened is not counted', async () => {
  await turn.close();
  turn = await TurnHarness.start({}, undefined, undefined, undefined, 86);
  const foreign = await turn.peer(RELAY_IP);
  const relay = { address: RELAY_IP, portStart: foreign.port, portEnd: foreign.port };
  await turn.attach({ relay, generation: 2 });
  const client = await turn.client();
  for (let n = 0; n < 3; n++) await expect(client.allocate()).rejects.toMatchObject({ code: 508 });
  await foreign.close();
  await client.allocate();
});

test('no key is worked out for a nonce that was never given to the address', async () => {
  const client = await turn.client();
  await client.allocate();
  const { username } = turn.credentials();
  const forged = new StunWriter(METHOD.allocate, CLASS.request, randomBytes(12))
    .text(ATTRIBUTE.username, username)
    .text(ATTRIBUTE.realm, REALM)
    .text(ATTRIBUTE.nonce, 'A'.repeat(20))
    .finish({ key: longTermKey(username, REALM, 'a guess') });
  expect((await client.exchange(forged)).errorCode).toBe(438);
  expect(turn.server.counters.authFailures.get('foreign-nonce')).toBe(1);
  expect(turn.server.counters.authFailures.get('wrong-credentials')).toBe(0);
});

test('a peer that answers thousands of packets with ICMP errors neither ends an allocation nor stops others', async () => {
  const client = await turn.client();
  const gone = await turn.peer();
  const there = await turn.peer();
  await client.allocate();
  await client.channelBind(0x4000, gone.address, gone.port);
  await client.channelBind(0x4001, there.address, there.port);
  await gone.close();
  for (let n = 0; n < 40; n++) {
    for (let burst = 0; burst < 50; burst++) client.channelData(0x4000, Buffer.from('nobody is there'));
    // An answer says that the burst has been read.
    await client.binding();
  }
  client.channelData(0x4001, Buffer.from('still served'));
  expect((await there.next()).data.toString()).toBe('still served');
  expect(await client.refresh()).toBe(600);
});

test('strangers and peers without permission add no series to the metrics', async () => {
  const client = await turn.client();
  const peer = await turn.peer();
  const stranger = await turn.peer('127.81.0.9');
  const { relayed } = await client.allocate();
  await client.createPermission(peer.address);
  const seriesCount = async () => (await (await turn.internal('/metrics')).text()).match(/^turn_/gm)?.length;
  const noise = async (round: number) => {
    for (let n = 0; n < 60; n++) {
      const id = round * 60 + n;
      const unknown = new StunWriter(METHOD.binding, CLASS.request, randomBytes(12)).flag(0x4000 + id).finish();
      const method = new StunWriter(0x100 + id, CLASS.request, randomBytes(12)).finish();
      const user = new StunWriter(METHOD.allocate, CLASS.request, randomBytes(12))
        .text(ATTRIBUTE.username, `${id}:stranger-${id}`)
        .text(ATTRIBUTE.realm, `realm-${id}`)
        .text(ATTRIBUTE.nonce, String(id))
        .finish({ key: randomBytes(16) });
      for (const packet of [unknown, method, user]) client.sendRaw(packet);
      stranger.send(Buffer.of(n), relayed.port);
      await expect(client.createPermission(`10.0.0.${n + 1}`)).rejects.toMatchObject({ code: 403 });
    }
  };
  await noise(0);
  const before = await seriesCount();
  await noise(1);
  expect(await seriesCount()).toBe(before);
  expect(turn.drops.noPermission).toBeGreaterThan(0);
});

test.each([
  ['deep', '['.repeat(100_000)],
  ['deep and whole', `${'['.repeat(60_000)}${']'.repeat(60_000)}`],
  ['wide', JSON.stringify(Object.fromEntries(Array.from({ length: 9000 }, (_, n) => [`surprise-${n}`, n])))],
  ['full of peers that are none', JSON.stringify({ peers: Array.from({ length: 5000 }, () => ({ ip: SFU_IP })) })],
  ['after a prototype', '{"__proto__": {"namespace": "demo"}, "constructor": {"prototype": {}}}'],
])('a body on the control socket that is %s is answered with 400 and changes nothing', async (_what, body) => {
  const reply = await turn.control('PUT', '/tenants/demo', body);
  expect(reply.status).toBe(400);
  expect(await turn.control('GET', '/tenants')).toMatchObject({ body: { tenants: [{ generation: 1 }] } });
  await (await turn.client('udp', { localAddress: CLIENT_IP })).allocate();
});
