import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { CLUSTER_STATE_FILE, clusterStateSchema, type TurnCredentials } from '@orama/protocol';
import {
  type BrowserDriver,
  CallPage,
  callGateway,
  killNow,
  LocalCluster,
  launchChromium,
  type NamespaceAccess,
  SignallingClient,
  UNITS,
  waitFor,
} from '@orama/testkit';
import { turnServersOf } from '@orama/turn/bridge';
import { TurnClient } from '@orama/turn/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

/** Frames, packets, requests and files that no honest program makes. Every process must outlive them all. */
const NAME = 'target';
const ROOM = 'fuzz';
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;
let pages: CallPage[];

beforeAll(async () => {
  [cluster, chromium] = await Promise.all([LocalCluster.start({ prefix: 96 }), launchChromium()]);
  access = await cluster.createEnabled(NAME);
  pages = await Promise.all(['ann', 'bob'].map((name) => CallPage.join(chromium, access, { room: ROOM, name })));
  await Promise.all(pages.map((page) => page.waitMedia(1)));
});
afterAll(async () => {
  await chromium?.close();
  await cluster?.stop();
});

let services: string;
const runningServices = () => JSON.stringify([1, 2, 3].map((node) => cluster.services(node)));
beforeEach(() => {
  services = runningServices();
});
afterEach(async () => {
  // The same processes as before, and the call that goes on meanwhile noticed nothing.
  expect(runningServices()).toBe(services);
  const seen = await Promise.all(pages.map((page) => page.waitMedia(1)));
  expect(seen.map(({ stats }) => stats.connections)).toEqual([1, 1]);
});

describe('signalling', () => {
  const open = () => SignallingClient.open({ ...cluster.signalling(access), room: ROOM });
  // An SFU that is short of processor time takes nobody in for a moment: who comes tries again, as the SDK does.
  const joined = () =>
    waitFor('mallory to be taken in', async () => {
      const client = await open();
      client.send({ type: 'join', name: 'mallory' });
      await client.next('turn-credentials');
      return client;
    });

  test.each([
    ['text that is not JSON', '{"type":'],
    ['JSON that is no object', '[1,2,3]'],
    ['null', 'null'],
    ['an object without a type', '{}'],
    ['an unknown type', '{"type":"self-destruct"}'],
    ['a type that every object has', '{"type":"constructor"}'],
    ['a polluting key', '{"type":"data","data":1,"__proto__":{"admin":true}}'],
    ['an offer whose description is no text', '{"type":"offer","sdp":{}}'],
    ['an offer of garbage', '{"type":"offer","sdp":"v=0\\r\\nnonsense"}'],
    ['an empty offer', '{"type":"offer","sdp":""}'],
    ['an offer without media', '{"type":"offer","sdp":"v=0\\r\\no=- 1 1 IN IP4 0.0.0.0\\r\\ns=-\\r\\nt=0 0\\r\\n"}'],
    ['an answer that nobody asked for', '{"type":"answer","sdp":"v=0\\r\\n"}'],
    ['a candidate of garbage', '{"type":"ice-candidate","candidate":"candidate:\\u0000","sdpMid":"0"}'],
    [
      'a candidate for no m-line',
      '{"type":"ice-candidate","candidate":"candidate:1 1 UDP 1 1.2.3.4 5 typ relay","sdpMid":"nope"}',
    ],
    ['a state of a track that is not there', '{"type":"track-state","trackId":"x","muted":true}'],
    ['a subscription to a track that is not there', '{"type":"subscribe","trackId":"x","enabled":false}'],
    ['data for a peer that is not there', '{"type":"data","to":"x","data":1}'],
    ['a second join', '{"type":"join","name":"twice"}'],
    ['deep nesting', `{"type":"data","data":${'['.repeat(8_000)}${']'.repeat(8_000)}}`],
  ])('%s ends at most its sender, with an error that says why', async (_what, frame) => {
    const client = await joined();
    client.sendRaw(frame);
    // Either it is answered, or it is of no consequence and the socket still works.
    client.send({ type: 'ping', id: 'after' });
    const outcome = await Promise.race([
      client.next('error').then((error) => error.code),
      client.next('pong', { accept: (pong) => pong.id === 'after' }).then(() => 'pong'),
      client.closed.then(({ code }) => String(code)),
    ]);
    expect(outcome).toMatch(/^[a-z_]+$|^1002$|^1003$|^1007$|^4/);
    expect(outcome).not.toBe('internal');
    expect(client.frames.filter((each) => each.type === 'error').every((each) => each.message.length > 0)).toBe(true);
    await client.close();
  });

  test('a binary frame ends its sender', async () => {
    const client = await joined();
    client.sendRaw(randomBytes(100));
    const outcome = await Promise.race([client.next('error').then(() => 'error'), client.closed.then(() => 'closed')]);
    expect(['error', 'closed']).toContain(outcome);
    await client.close();
  });

  test.each([
    ['a frame above 64 KB', { type: 'data', data: 'x'.repeat(65 * 1024) }],
    ['a description above 256 KB', { type: 'offer', sdp: 'x'.repeat(257 * 1024) }],
    ['a frame of 5 MB', { type: 'data', data: 'x'.repeat(5 * 1024 * 1024) }],
  ])('%s is refused as too large', async (_what, frame) => {
    const client = await joined();
    client.sendRaw(JSON.stringify(frame));
    const outcome = await Promise.race([
      client.next('error').then((error) => error.code),
      client.closed.then(({ code }) => String(code)),
    ]);
    expect(['frame_too_large', 'invalid_message', '1009']).toContain(outcome);
    await client.close();
  });

  test('frames before the join are refused', async () => {
    const client = await open();
    client.send({ type: 'offer', sdp: 'v=0' });
    expect((await client.next('error')).code).toMatch(/invalid_state|invalid_join/);
    await client.close();
  });

  test('a flood of frames is refused by its rate, and ends its sender only', async () => {
    const client = await joined();
    for (let count = 0; count < 500; count += 1) client.send({ type: 'data', data: count });
    expect((await client.next('error', { accept: (error) => error.code === 'rate_limited' })).message).not.toBe('');
    await client.close();
  });

  test('a wrong key is told after the upgrade: error, then close 4001', async () => {
    const client = await SignallingClient.open({ ...cluster.signalling({ ...access, apiKey: 'wrong' }), room: ROOM });
    expect((await client.next('error')).code).toBe('unauthorized');
    expect((await client.closed).code).toBe(4001);
  });

  test.each(['', 'a b', 'x'.repeat(129), '\u{1f600}', 'line\nbreak'])('the room id %j is refused', async (room) => {
    const client = await SignallingClient.open({ ...cluster.signalling(access), room });
    client.send({ type: 'join' });
    expect((await client.next('error')).message).not.toBe('');
    await client.close();
  });
});

describe('the gateway', () => {
  test.each([
    ['a body that is not JSON', 'POST', '/v1/webrtc/rooms', '{"room_id":', 400],
    ['a body of another shape', 'POST', '/v1/webrtc/rooms', { room: 1 }, 400],
    ['a number out of range', 'POST', '/v1/webrtc/rooms', { room_id: 'a', max_participants: 1e9 }, 400],
    ['a body of 2 MB', 'POST', '/v1/webrtc/rooms', { room_id: 'a', metadata: { x: 'x'.repeat(2e6) } }, 413],
    ['an unknown path', 'GET', '/v1/webrtc/nothing', undefined, 404],
    ['a path that climbs', 'GET', '/call/../../../../etc/passwd', undefined, 400],
    ['an encoded path that climbs', 'GET', '/call/%2e%2e%2f%2e%2e%2fetc%2fpasswd', undefined, 400],
    ['a malformed escape', 'DELETE', '/v1/webrtc/rooms/%zz/participants/x', undefined, 400],
    ['a room that is not there', 'DELETE', '/v1/webrtc/rooms?room_id=nowhere', undefined, 404],
  ])('answers %s with a clear error', async (_what, method, path, body, status) => {
    const answer = await callGateway(access, method, path, { body });
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).not.toContain('node_modules');
    expect(answer.body).toMatchObject({ error: { message: expect.any(String) } });
  });

  test('outlives bytes that are no HTTP, and header floods', async () => {
    const port = Number(new URL(cluster.node(1).gateway).port);
    for (const bytes of [randomBytes(4096), Buffer.from(`GET / HTTP/1.1\r\n${'X-Flood: y\r\n'.repeat(20_000)}\r\n`)]) {
      const socket = connect(port, '127.0.0.1').resume();
      socket.on('error', () => undefined);
      socket.write(bytes);
      await new Promise((closed) => socket.once('close', closed));
    }
    expect((await callGateway(access, 'GET', '/v1/webrtc/rooms')).status).toBe(200);
  });
});

describe('TURN', () => {
  const server = async () => {
    const { body } = await callGateway(access, 'POST', '/v1/webrtc/turn/credentials');
    return turnServersOf((body as TurnCredentials).uris, 'udp')[0];
  };
  /** Answers to a plain Binding prove that the server still reads its socket. */
  async function stillServes(transport: 'udp' | 'tcp'): Promise<void> {
    const client = await TurnClient.open({ transport, server: await server(), localAddress: `${cluster.prefix}.9.9` });
    expect((await client.binding()).port).toBe(client.local.port);
    await client.close();
  }

  test('outlives 3,000 random datagrams, and those that begin like STUN and ChannelData', async () => {
    const { address, port } = await server();
    const socket = createSocket('udp4');
    socket.bind(0, `${cluster.prefix}.9.1`);
    await once(socket, 'listening');
    const cookie = Buffer.from([0x21, 0x12, 0xa4, 0x42]);
    for (let count = 0; count < 3_000; count += 1) {
      const bytes = randomBytes(count % 1_400);
      if (count % 3 === 1 && bytes.length >= 20) {
        bytes.writeUInt16BE(count % 2 === 0 ? 0x0003 : 0x0004, 0);
        bytes.writeUInt16BE((bytes.length - 20) & 0xfffc, 2);
        cookie.copy(bytes, 4);
      } else if (count % 3 === 2 && bytes.length >= 4) bytes[0] = 0x40;
      await new Promise((sent) => socket.send(bytes, port, address, sent));
    }
    await new Promise<void>((closed) => socket.close(closed));
    await stillServes('udp');
  });

  test('ends a TCP connection that sends garbage, and no other', async () => {
    const { address, port } = await server();
    const socket = connect({ host: address, port, localAddress: `${cluster.prefix}.9.2` }).resume();
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(Buffer.alloc(4096, 0xff));
    await once(socket, 'close');
    await stillServes('tcp');
  });
});

describe('the SFU', () => {
  test('outlives random datagrams on its media ports and requests without a ticket', async () => {
    const media = cluster.socketsOfSfu(NAME).filter((socket) => socket.protocol === 'udp');
    expect(media.length).toBeGreaterThan(0);
    const socket = createSocket('udp4');
    socket.bind(0, `${cluster.prefix}.0.200`);
    await once(socket, 'listening');
    for (let count = 0; count < 1_000; count += 1) {
      const target = media[count % media.length]?.local;
      await new Promise((sent) =>
        socket.send(randomBytes(1 + (count % 1_300)), target?.port as number, target?.address as string, sent),
      );
    }
    await new Promise<void>((closed) => socket.close(closed));

    const signalling = cluster.socketsOfSfu(NAME).find((each) => each.protocol === 'tcp' && each.listening)?.local;
    for (const path of ['/ws/signal?room=fuzz', '/rooms', '/rooms/kick']) {
      const status = await new Promise<number>((resolve, reject) => {
        const asked = request({
          host: signalling?.address,
          port: signalling?.port,
          path,
          headers: { 'x-orama-sfu-ticket': 'forged' },
        });
        asked
          .on('response', (response) => resolve(response.statusCode ?? 0))
          .on('error', reject)
          .end();
      });
      expect(status, path).toBeGreaterThanOrEqual(400);
      expect(status, path).toBeLessThan(500);
    }
  });
});

describe('cluster_state.json', () => {
  const file = (node: number) => join(cluster.node(node).dataDir, 'namespaces', NAME, CLUSTER_STATE_FILE);
  const valid = (node: number) => {
    const parsed = clusterStateSchema.safeParse(JSON.parse(readFileSync(file(node), 'utf8')));
    return parsed.success && parsed.data.namespace_name === NAME && parsed.data.has_sfu && parsed.data;
  };

  test('is mode 0600 and holds no secret', () => {
    expect(statSync(file(1)).mode & 0o777).toBe(0o600);
    expect(valid(1)).toBeTruthy();
    expect(readFileSync(file(1), 'utf8')).not.toMatch(/secret|password|key/i);
  });

  test.each([
    ['truncated', () => truncateSync(file(1), 40)],
    ['empty', () => truncateSync(file(1), 0)],
    [
      'from another cluster',
      () => writeFileSync(file(1), readFileSync(file(1), 'utf8').replace(/("cluster_id": *")[^"]*/, '$1elsewhere')),
    ],
    [
      'of another SFU port',
      () => writeFileSync(file(1), readFileSync(file(1), 'utf8').replace(/("sfu_signaling_port": *)\d+/, '$130099')),
    ],
  ])('%s, is repaired from the store, and nothing is restarted', async (_what, damage) => {
    const before = { ...(valid(1) as object), saved_at: undefined };
    damage();
    const repaired = await waitFor('the state file to be repaired', () => valid(1), { timeoutMs: 15_000 });
    await waitFor('the state file to be as before', () => {
      return JSON.stringify({ ...(valid(1) as object), saved_at: undefined }) === JSON.stringify(before);
    });
    expect(repaired).toBeTruthy();
  });

  test('truncated while the controlplane is down, does not keep the namespace from coming back', async () => {
    const killed = cluster.controlplanePid(1);
    truncateSync(file(1), 10);
    await killNow(killed);
    await waitFor('another controlplane', () => cluster.controlplanePid(1) !== killed);
    await waitFor('the state file to be repaired', () => valid(1), { timeoutMs: 15_000 });
    expect(cluster.pidOf(1, UNITS.sfu(NAME))).toBeGreaterThan(0);
  });
});
