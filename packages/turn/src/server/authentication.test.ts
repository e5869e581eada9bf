import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { turnPassword, VirtualClock } from '@orama/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ATTRIBUTE, CLASS, longTermKey, METHOD, StunWriter } from '../stun/index.ts';
import { CLIENT_IP, PUBLIC_IP, REALM, SECRET, TurnHarness } from '../testing/harness.ts';

let turn: TurnHarness;
let clock: VirtualClock;
beforeEach(async () => {
  clock = new VirtualClock();
  turn = await TurnHarness.start({}, clock);
});
afterEach(() => turn.close());

const TRANSPORT = Buffer.from([17, 0, 0, 0]);

test('a request without credentials is answered with 401, realm and nonce', async () => {
  const client = await turn.client();
  const reply = await client.exchange(
    new StunWriter(METHOD.allocate, CLASS.request, randomBytes(12))
      .bytes(ATTRIBUTE.requestedTransport, TRANSPORT)
      .finish(),
  );
  expect(reply.errorCode).toBe(401);
  expect(reply.text(ATTRIBUTE.realm)).toBe(REALM);
  expect(reply.bytes(ATTRIBUTE.nonce)).toHaveLength(20);
});

test('a request with integrity but without username, realm or nonce is answered with 400', async () => {
  const client = await turn.client();
  const request = new StunWriter(METHOD.allocate, CLASS.request, randomBytes(12)).text(ATTRIBUTE.username, 'x');
  expect((await client.exchange(request.finish({ key: Buffer.from('k') }))).errorCode).toBe(400);
});

test.each([
  ['a wrong password', () => ({ password: 'wrong' })],
  ['another namespace’s password', () => turn.credentials('demo', 600, 'another-secret-altogether')],
  ['a namespace that is not attached', () => turn.credentials('nobody')],
  ['an expired credential', () => turn.credentials('demo', 0)],
  ['the user "constructor"', () => ({ username: 'constructor', password: 'function Object() { [native code] }' })],
  ['the namespace "constructor"', () => turn.credentials('constructor')],
  ['the namespace "__proto__"', () => turn.credentials('__proto__')],
  ['a username without expiry', () => ({ username: ':demo', password: turnPassword(SECRET, ':demo') })],
  ['an empty username', () => ({ username: '', password: '' })],
  ['a username of a thousand bytes', () => ({ username: `9999999999:${'d'.repeat(1000)}` })],
])('Allocate with %s is answered with 401', async (_what, credentials) => {
  const client = await turn.client('udp', credentials());
  await expect(client.allocate()).rejects.toMatchObject({ code: 401 });
  expect(turn.service.server.allocationCount).toBe(0);
});

test('the namespace of a username is all that follows its first colon', async () => {
  await turn.attach({ namespace: 'other', relay: { address: '127.81.0.1', portStart: 50_000, portEnd: 50_010 } });
  const client = await turn.client('udp', turn.credentials('demo:other'));
  await expect(client.allocate()).rejects.toMatchObject({ code: 401 });
});

test('an old nonce is answered with 438 and a new one, which then works', async () => {
  const client = await turn.client();
  await client.allocate();
  const stale = client.buildRequest(METHOD.refresh);
  clock.advance(590_000);
  await client.refresh();
  for (let minutes = 0; minutes < 60; minutes += 9) {
    clock.advance(540_000);
    await client.refresh();
  }
  const reply = await client.exchange(stale);
  expect(reply.errorCode).toBe(438);
  expect(reply.bytes(ATTRIBUTE.nonce)).toHaveLength(20);
  expect(await client.refresh()).toBe(600);
});

test('a nonce given to another address is answered with 438', async () => {
  const first = await turn.client();
  await first.allocate();
  const second = await turn.client('udp', { localAddress: '127.81.3.2' });
  const reply = await second.exchange(first.buildRequest(METHOD.refresh));
  expect(reply.errorCode).toBe(438);
});

test('an allocation outlives its credential and its secret; a new one needs new ones', async () => {
  const client = await turn.client();
  const peer = await turn.peer();
  const { relayed } = await client.allocate();
  await turn.attach({ secrets: ['the-secret-after-rotation'], generation: 2 });
  for (let minutes = 0; minutes < 30; minutes += 9) {
    clock.advance(540_000);
    expect(await client.refresh()).toBe(600);
  }
  await client.createPermission(peer.address);
  client.send(peer.address, peer.port, Buffer.from('still here'));
  expect(await peer.next()).toMatchObject({ data: Buffer.from('still here'), port: relayed.port });

  await expect((await turn.client()).allocate()).rejects.toMatchObject({ code: 401 });
  const fresh = await turn.client('udp', turn.credentials('demo', 600, 'the-secret-after-rotation'));
  await fresh.allocate();
});

test('both secrets of a rotation open the door', async () => {
  await turn.attach({ secrets: ['the-secret-after-rotation', SECRET], generation: 2 });
  for (const secret of [SECRET, 'the-secret-after-rotation']) {
    await (await turn.client('udp', turn.credentials('demo', 600, secret))).allocate();
  }
});

test('another user on the 5-tuple of an allocation is answered with 441', async () => {
  const client = await turn.client();
  await client.allocate();
  const stranger = new StunWriter(METHOD.refresh, CLASS.request, randomBytes(12)).text(
    ATTRIBUTE.software,
    'long enough',
  );
  const nonce = (await client.exchange(stranger.finish())).bytes(ATTRIBUTE.nonce);
  const { username, password } = turn.credentials('demo', 700);
  const request = new StunWriter(METHOD.refresh, CLASS.request, randomBytes(12))
    .text(ATTRIBUTE.username, username)
    .text(ATTRIBUTE.realm, REALM)
    .bytes(ATTRIBUTE.nonce, nonce ?? Buffer.alloc(0));
  const reply = await client.exchange(request.finish({ key: longTermKey(username, REALM, password) }));
  expect(reply.errorCode).toBe(441);
});

test('answers to authenticated requests carry integrity, success and error alike', async () => {
  const { username, password } = turn.credentials();
  const client = await turn.client('udp', { username, password });
  await client.allocate();
  const key = longTermKey(username, REALM, password);
  expect((await client.exchange(client.buildRequest(METHOD.refresh))).integrityMatches(key)).toBe(true);
  const refused = await client.exchange(
    client.buildRequest(METHOD.createPermission, (writer) => writer.address(ATTRIBUTE.xorPeerAddress, '127.0.0.1', 0)),
  );
  expect([refused.errorCode, refused.integrityMatches(key)]).toEqual([403, true]);
});

test('unauthenticated requests of one source are answered at a rate, and those of others go on', async () => {
  await turn.close();
  turn = await TurnHarness.start({ unauthenticatedRate: { burst: 3, perSec: 1 } }, clock);
  const client = await turn.client();
  const { server, drops } = turn.service;
  for (let n = 0; n < 5; n++) {
    client.sendRaw(new StunWriter(METHOD.binding, CLASS.request, randomBytes(12)).finish());
  }
  await expect.poll(() => drops.rateLimited).toBe(2);
  expect(server.counters.replies.get('Binding 200')).toBe(3);
  await (await turn.client('udp', { localAddress: '127.81.3.9' })).binding();
  clock.advance(1000);
  expect((await client.binding()).address).toBe(CLIENT_IP);
});

test('an answer to an unauthenticated datagram is never larger than three times it', async () => {
  await turn.close();
  turn = await TurnHarness.start({ realm: 'webrtc.eu-central-1.cluster.example-company.com' }, clock);
  const client = await turn.client();
  const methods = [METHOD.binding, METHOD.allocate, METHOD.refresh, METHOD.createPermission, METHOD.channelBind];
  const requests = methods.flatMap((method) => {
    const plain = () => new StunWriter(method, CLASS.request, randomBytes(12));
    const key = Buffer.from('k');
    return [
      plain().finish(),
      plain().finish({ fingerprint: true }),
      plain().bytes(ATTRIBUTE.requestedTransport, TRANSPORT).finish(),
      plain().flag(0x7000).flag(0x7001).flag(0x7002).finish(),
      plain().finish({ key }),
      plain().text(ATTRIBUTE.username, '1:a').text(ATTRIBUTE.realm, 'r').text(ATTRIBUTE.nonce, 'n').finish({ key }),
    ];
  });
  const socket = createSocket('udp4');
  socket.bind({ address: CLIENT_IP });
  await once(socket, 'listening');
  const replies: Buffer[] = [];
  socket.on('message', (reply) => replies.push(reply));
  const { server, drops } = turn.service;
  for (const [index, request] of requests.entries()) {
    const withheld = drops.amplification;
    socket.send(request, turn.port, PUBLIC_IP);
    // Every request is either answered or held back.
    await expect.poll(() => replies.length + drops.amplification, { interval: 5 }).toBe(index + 1);
    if (drops.amplification === withheld) expect(replies.at(-1)?.length).toBeLessThanOrEqual(request.length * 3);
  }
  socket.close();
  expect(replies.length).toBeGreaterThan(20);
  expect(drops.amplification).toBeGreaterThan(0);
  expect(server.allocationCount).toBe(0);
  // The smallest Allocate a real client sends does get its challenge.
  const smallest = new StunWriter(METHOD.allocate, CLASS.request, randomBytes(12));
  expect((await client.exchange(smallest.bytes(ATTRIBUTE.requestedTransport, TRANSPORT).finish())).errorCode).toBe(401);
});
