import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { turnPassword, VirtualClock } from '@orama/core';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TurnClient } from '../client/turn-client.ts';
import {
  ATTRIBUTE,
  CLASS,
  longTermKey,
  METHOD,
  NONCE_WITH_ALGORITHMS,
  PASSWORD_ALGORITHMS,
  passwordAlgorithm,
  StunMessage,
  StunWriter,
} from '../stun/index.ts';
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
  ['a username of a thousand bytes', () => ({ username: `9999999999:${'d'.repeat(1000)}` })],
])('Allocate with %s is answered with 401', async (_what, credentials) => {
  const client = await turn.client('udp', credentials());
  await expect(client.allocate()).rejects.toMatchObject({ code: 401 });
  expect(turn.service.tenants.allocationCount).toBe(0);
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
  expect(reply.has(ATTRIBUTE.nonce)).toBe(true);
  expect(await client.refresh()).toBe(600);
});

test.each([
  ['its credential has expired', 10, 0],
  ['its nonce has grown old', 10_000, 3_590_000],
])('a retransmitted Allocate gets the very same answer when %s meanwhile', async (_what, ttlSec, ageMs) => {
  const client = await turn.client('udp', turn.credentials('demo', ttlSec));
  await expect(client.request(METHOD.refresh)).rejects.toMatchObject({ code: 437 });
  clock.advance(ageMs);
  const allocate = () =>
    client.buildRequest(METHOD.allocate, (writer) => writer.bytes(ATTRIBUTE.requestedTransport, TRANSPORT));
  const request = allocate();
  const first = await client.exchange(request);
  expect(first.address(ATTRIBUTE.xorRelayedAddress)).toBeDefined();
  clock.advance(20_000);
  expect((await client.exchange(request)).buffer).toEqual(first.buffer);
  // Another seal makes it a request of its own, which is judged as what it is.
  const forged = Buffer.from(request);
  forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1);
  let judged = await client.exchange(forged);
  // An earlier copy, repeated on a busy machine, may still be answered now: it has the same transaction id.
  while (judged.buffer.equals(first.buffer)) judged = await client.exchange(forged);
  expect(judged.errorCode).toBe(401);
});

test('a nonce given to another address is answered with 438', async () => {
  const first = await turn.client();
  await first.allocate();
  const second = await turn.client('udp', { localAddress: '127.81.3.2' });
  const reply = await second.exchange(first.buildRequest(METHOD.refresh));
  expect(reply.errorCode).toBe(438);
});

test('an allocation outlives its credential, and its secret until that is revoked; a new one needs new ones', async () => {
  const client = await turn.client();
  const peer = await turn.peer();
  const { relayed } = await client.allocate();
  const secrets = ['the-secret-after-rotation'];
  const goesOn = async (data: string) => {
    expect(await client.refresh()).toBe(600);
    await client.createPermission(peer.address);
    client.send(peer.address, peer.port, Buffer.from(data));
    expect(await peer.next()).toMatchObject({ data: Buffer.from(data), port: relayed.port });
  };
  await turn.attach({ secrets: [...secrets, SECRET], generation: 2 });
  for (let minutes = 0; minutes < 30; minutes += 9) {
    clock.advance(540_000);
    await goesOn(`after ${minutes} minutes`);
  }
  const fresh = await turn.client('udp', turn.credentials('demo', 600, 'the-secret-after-rotation'));
  await fresh.allocate();

  // The rotation is over: no new allocation is made with the former secret, and nothing ends.
  await turn.attach({ secrets, retiredSecrets: [SECRET], generation: 3 });
  await goesOn('after the rotation');
  const late = await turn.client();
  for (const method of [METHOD.allocate, METHOD.refresh]) {
    await expect(late.request(method)).rejects.toMatchObject({ code: 401 });
  }

  // Not listed any more: revoked, with all that was made with it.
  await turn.attach({ secrets, generation: 4 });
  expect(turn.portsBound).toBe(1);
  await expect(client.refresh()).rejects.toMatchObject({ code: 401 });
  await expect((await turn.client()).allocate()).rejects.toMatchObject({ code: 401 });
  expect(await fresh.refresh()).toBe(600);
});

test('a stream whose secret is revoked is hung up', async () => {
  const client = await turn.client('tcp');
  await client.allocate();
  await turn.attach({ secrets: ['the-secret-after-rotation'], generation: 2 });
  await client.disconnected;
  expect(turn.server.counters.ended.get('secret-revoked')).toBe(1);
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

test.each([
  [false, 'sha256'],
  [true, 'sha1'],
] as const)(
  'answers carry the integrity the client uses, success and error alike (legacy: %s)',
  async (legacy, kind) => {
    const { username, password } = turn.credentials();
    const client = await turn.client('udp', { username, password, legacyIntegrity: legacy });
    await client.allocate();
    const key = longTermKey(username, REALM, password, legacy ? 'md5' : 'sha256');
    const answer = await client.exchange(client.buildRequest(METHOD.refresh));
    expect([answer.integrity, answer.integrityMatches(key)]).toEqual([kind, true]);
    const refused = await client.exchange(
      client.buildRequest(METHOD.createPermission, (writer) =>
        writer.address(ATTRIBUTE.xorPeerAddress, '127.0.0.1', 0),
      ),
    );
    expect([refused.errorCode, refused.integrityMatches(key)]).toEqual([403, true]);
  },
);

test('unauthenticated requests of one source are answered at a rate, and those of others go on', async () => {
  await turn.close();
  turn = await TurnHarness.start({ unauthenticatedRate: { burst: 3, perSec: 1 } }, clock);
  const client = await turn.client();
  const { server, drops } = turn;
  for (let n = 0; n < 5; n++) {
    client.sendRaw(new StunWriter(METHOD.binding, CLASS.request, randomBytes(12)).finish());
  }
  await expect.poll(() => drops.rateLimited).toBe(2);
  expect(server.counters.replies.get('Binding 200')).toBe(3);
  await (await turn.client('udp', { localAddress: '127.81.3.9' })).binding();
  clock.advance(1000);
  expect((await client.binding()).address).toBe(CLIENT_IP);
});

test('no key is worked out for a client that fails once its source has used up its rate; others at its address get in', async () => {
  await turn.close();
  turn = await TurnHarness.start({ unauthenticatedRate: { burst: 6, perSec: 0.001 } }, clock);
  const { server, drops } = turn;
  const good = await turn.client();
  await good.allocate();
  await good.refresh(0);
  const bad = await turn.client('udp', { password: 'a guess' });
  await expect(bad.allocate()).rejects.toMatchObject({ code: 401 });
  const request = bad.buildRequest(METHOD.allocate);
  for (let n = 0; n < 50; n++) bad.sendRaw(request);
  const judged = () => server.counters.authFailures.get('wrong-credentials');
  await expect.poll(() => judged() + drops.rateLimited).toBeGreaterThanOrEqual(50);
  expect(judged()).toBeLessThanOrEqual(6);
  await good.allocate();
  // Its own minute over, it is judged again, though nobody answers it.
  const before = judged();
  clock.advance(60_000);
  bad.sendRaw(request);
  await expect.poll(judged).toBe(before + 1);
});

test('a call whose nonce has become old goes on while its source has used up its rate', async () => {
  await turn.close();
  turn = await TurnHarness.start({ unauthenticatedRate: { burst: 3, perSec: 0.001 }, nonceLifetimeSec: 60 }, clock);
  const client = await turn.client();
  await client.allocate();
  const other = await turn.client();
  for (let n = 0; n < 5; n++) {
    other.sendRaw(new StunWriter(METHOD.binding, CLASS.request, randomBytes(12)).finish());
  }
  await expect.poll(() => turn.drops.rateLimited).toBe(3);
  clock.advance(61_000);
  expect(await client.refresh()).toBe(600);
  expect(turn.server.counters.replies.get('Refresh 438')).toBe(1);
});

/** A challenge that has room for PASSWORD-ALGORITHMS, and a request made with it. */
async function challenged(client: TurnClient) {
  const first = new StunWriter(METHOD.allocate, CLASS.request, randomBytes(12)).text(
    ATTRIBUTE.software,
    'long enough!',
  );
  const challenge = await client.exchange(first.finish());
  const nonce = Buffer.from(challenge.bytes(ATTRIBUTE.nonce) ?? []);
  const request = () =>
    new StunWriter(METHOD.allocate, CLASS.request, randomBytes(12))
      .bytes(ATTRIBUTE.requestedTransport, TRANSPORT)
      .text(ATTRIBUTE.realm, REALM)
      .bytes(ATTRIBUTE.nonce, nonce);
  return { challenge, request };
}

test('a challenge with room for it offers SHA-256 and MD5, under a nonce that announces them', async () => {
  const { challenge } = await challenged(await turn.client());
  expect(challenge.bytes(ATTRIBUTE.passwordAlgorithms)?.toString('hex')).toBe('0002000000010000');
  expect(challenge.text(ATTRIBUTE.nonce)).toMatch(/^obMatJos2gAAA/);
});

test.each([
  ['the offer without a choice', [PASSWORD_ALGORITHMS, undefined], 400],
  ['a choice without the offer', [undefined, passwordAlgorithm('sha256')], 400],
  ['an offer that somebody shortened', [passwordAlgorithm('md5'), passwordAlgorithm('md5')], 400],
  ['a choice that was not offered', [PASSWORD_ALGORITHMS, Buffer.from([0, 9, 0, 0])], 400],
  ['MD5 chosen from the offer', [PASSWORD_ALGORITHMS, passwordAlgorithm('md5')], undefined],
  ['SHA-256 chosen from the offer', [PASSWORD_ALGORITHMS, passwordAlgorithm('sha256')], undefined],
  ['neither', [undefined, undefined], undefined],
] as const)('Allocate with %s', async (_what, [offer, choice], code) => {
  const { username, password } = turn.credentials();
  const client = await turn.client();
  const writer = (await challenged(client)).request().text(ATTRIBUTE.username, username);
  if (offer) writer.bytes(ATTRIBUTE.passwordAlgorithms, offer);
  if (choice) writer.bytes(ATTRIBUTE.passwordAlgorithm, choice);
  const algorithm = choice?.equals(passwordAlgorithm('sha256')) ? 'sha256' : 'md5';
  const key = longTermKey(username, REALM, password, algorithm);
  const reply = await client.exchange(writer.finish({ key, integrity: choice ? 'sha256' : 'sha1' }));
  expect(reply.errorCode).toBe(code);
  if (code === undefined) {
    expect([reply.integrity, reply.integrityMatches(key)]).toEqual([choice ? 'sha256' : 'sha1', true]);
  }
});

test('of MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 together the stronger one counts', async () => {
  const { username, password } = turn.credentials();
  const client = await turn.client();
  const key = longTermKey(username, REALM, password);
  const sealed = async (sha1Key: Buffer, sha256Key: Buffer) => {
    const half = (await challenged(client)).request().text(ATTRIBUTE.username, username).finish({ key: sha1Key });
    const whole = new StunWriter(METHOD.allocate, CLASS.request, half.subarray(8, 20));
    for (const { type, offset, length } of StunMessage.parse(half)?.attributes ?? []) {
      whole.bytes(type, half.subarray(offset, offset + length));
    }
    return client.exchange(whole.finish({ key: sha256Key, integrity: 'sha256' }));
  };
  expect((await sealed(key, Buffer.from('wrong'))).errorCode).toBe(401);
  expect((await sealed(key, key)).integrity).toBe('sha256');
});

test('a hashed username finds nobody: 401, and a nonce that does not ask for one', async () => {
  const client = await turn.client();
  const { request } = await challenged(client);
  const reply = await client.exchange(
    request()
      .bytes(ATTRIBUTE.userhash, randomBytes(32))
      .finish({ key: randomBytes(16), integrity: 'sha256' }),
  );
  expect(reply.errorCode).toBe(401);
  expect(reply.text(ATTRIBUTE.nonce)).toMatch(/^obMatJos2gAAA/);
});

test('the client refuses a challenge whose announced algorithms are gone', async () => {
  const server = createSocket('udp4');
  server.bind({ address: CLIENT_IP });
  await once(server, 'listening');
  server.on('message', (request, from) => {
    const reply = new StunWriter(METHOD.allocate, CLASS.error, request.subarray(8, 20)).errorCode(401, '');
    reply.text(ATTRIBUTE.realm, REALM).text(ATTRIBUTE.nonce, `${NONCE_WITH_ALGORITHMS}abc`);
    server.send(reply.finish(), from.port, from.address);
  });
  const { port } = server.address();
  const client = await turn.client('udp', { server: { address: CLIENT_IP, port } });
  await expect(client.allocate()).rejects.toThrow(/somebody changed it on the way/);
  server.close();
});

test('the client takes no answer that is sealed with another key', async () => {
  const server = createSocket('udp4');
  server.bind({ address: CLIENT_IP });
  await once(server, 'listening');
  const { username, password } = turn.credentials();
  server.on('message', (packet, from) => {
    const request = StunMessage.parse(packet);
    const reply = (lifetimeSec: number) =>
      new StunWriter(METHOD.refresh, CLASS.success, packet.subarray(8, 20)).uint32(ATTRIBUTE.lifetime, lifetimeSec);
    const send = (bytes: Buffer) => server.send(bytes, from.port, from.address);
    if (request?.integrity === undefined) {
      const challenge = new StunWriter(METHOD.refresh, CLASS.error, packet.subarray(8, 20)).errorCode(401, '');
      send(challenge.text(ATTRIBUTE.realm, REALM).text(ATTRIBUTE.nonce, 'nonce').finish());
      return;
    }
    send(reply(1).finish({ key: Buffer.from('forged') }));
    send(reply(600).finish({ key: longTermKey(username, REALM, password) }));
  });
  const client = await turn.client('udp', {
    username,
    password,
    server: { address: CLIENT_IP, port: server.address().port },
  });
  expect(await client.refresh()).toBe(600);
  server.close();
});

test('the client prepares what a user types, and says what cannot be prepared', async () => {
  const client = await turn.client('udp', { username: '', password: 'x' });
  await expect(client.allocate()).rejects.toThrow('the username is empty');
  const hidden = await turn.client('udp', { username: 'a\u200bb', password: 'x' });
  await expect(hidden.allocate()).rejects.toThrow(/the username holds U\+200B/);
});

/** Sends requests from one socket, one at a time; what came back of each, and whether it was held back. */
async function exchangeAll(requests: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
  const socket = createSocket('udp4');
  socket.bind({ address: CLIENT_IP });
  await once(socket, 'listening');
  const outcomes: (Buffer | undefined)[] = [];
  const { drops } = turn;
  let reply: Buffer | undefined;
  socket.on('message', (packet) => {
    reply = packet;
  });
  for (const request of requests) {
    reply = undefined;
    const before = drops.amplification + drops.malformed + drops.unknownClient;
    socket.send(request, turn.port, PUBLIC_IP);
    await expect
      .poll(() => reply !== undefined || drops.amplification + drops.malformed + drops.unknownClient > before, {
        interval: 1,
      })
      .toBe(true);
    outcomes.push(reply);
  }
  socket.close();
  expect(turn.service.tenants.allocationCount).toBe(0);
  return outcomes;
}

test('whatever an unauthenticated datagram asks, the answer is never larger than three times it', async () => {
  await turn.close();
  turn = await TurnHarness.start(
    { realm: 'webrtc.eu-central-1.cluster.example-company.com', unauthenticatedRate: { burst: 100_000, perSec: 1 } },
    clock,
  );
  const attribute = fc.record({
    type: fc.oneof(fc.constantFrom(...Object.values(ATTRIBUTE)), fc.integer({ min: 0, max: 0xffff })),
    value: fc.uint8Array({ maxLength: 40 }),
  });
  const request = fc.record({
    method: fc.constantFrom(
      ...Object.values(METHOD).filter((method) => method !== METHOD.send && method !== METHOD.data),
    ),
    attributes: fc.array(attribute, { maxLength: 6 }),
    key: fc.option(fc.constant(Buffer.from('k')), { nil: undefined }),
    integrity: fc.constantFrom('sha1' as const, 'sha256' as const),
    fingerprint: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 5, maxLength: 20 }), async (wanted) => {
      const requests = wanted.map(({ method, attributes, ...seal }) => {
        const writer = new StunWriter(method, CLASS.request, randomBytes(12));
        for (const { type, value } of attributes) writer.bytes(type, value);
        return writer.finish(seal);
      });
      for (const [index, reply] of (await exchangeAll(requests)).entries()) {
        if (reply) expect(reply.length).toBeLessThanOrEqual((requests[index]?.length ?? 0) * 3);
      }
    }),
    { numRuns: 25 },
  );
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
  const { drops } = turn;
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
  expect(turn.service.tenants.allocationCount).toBe(0);
  // The smallest Allocate a real client sends does get its challenge.
  const smallest = new StunWriter(METHOD.allocate, CLASS.request, randomBytes(12));
  expect((await client.exchange(smallest.bytes(ATTRIBUTE.requestedTransport, TRANSPORT).finish())).errorCode).toBe(401);
});
