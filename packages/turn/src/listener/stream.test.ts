import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BugLog } from '../bug-log.ts';
import { DropCounters } from '../relay/relay.ts';
import { CLASS, encodeChannelData, METHOD, StunWriter } from '../stun/index.ts';
import { freePort, PUBLIC_IP, TurnHarness } from '../testing/harness.ts';
import type { ClientTransport } from './client-transport.ts';
import { SourceLimits, sourceLimitMemory } from './source-limits.ts';
import { StreamListener } from './stream.ts';

let turn: TurnHarness;
let clock: VirtualClock;
const sockets: Socket[] = [];
beforeEach(async () => {
  clock = new VirtualClock();
  turn = await TurnHarness.start({ maxTcpConnections: 8, maxTcpConnectionsPerSource: 3 }, clock);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await turn.close();
});

async function dial(localAddress = '127.81.3.1', transport: 'tcp' | 'tls' = 'tcp'): Promise<Socket> {
  const secure = transport === 'tls';
  const target = { host: PUBLIC_IP, port: secure ? turn.tlsPort : turn.port, localAddress };
  const socket = secure ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target);
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, secure ? 'secureConnect' : 'connect');
  return socket;
}

async function metric(line: string): Promise<number> {
  const text = await (await turn.internal('/metrics')).text();
  return Number(
    text
      .split('\n')
      .find((one) => one.startsWith(line))
      ?.split(' ')[1] ?? 0,
  );
}

const connections = () => metric('turn_stream_connections');
const closedFor = (reason: string) => metric(`turn_stream_closed_total{reason="${reason}"`);

test('a source has its share of connections, and the server its limit', async () => {
  for (let n = 0; n < 3; n++) await dial();
  const fourth = await dial();
  await once(fourth, 'close');
  for (let n = 2; n <= 6; n++) await dial(`127.81.3.${n}`);
  const ninth = await dial('127.81.3.7');
  await once(ninth, 'close');
  expect(await closedFor('too-many')).toBe(2);
  expect(await connections()).toBe(8);
  sockets[0]?.destroy();
  await expect.poll(connections).toBe(7);
  await dial();
  await expect.poll(connections).toBe(8);
});

test('a client that has said its last word gets all that waits for it', async () => {
  const drops = new DropCounters();
  let sent = 0;
  const handler = {
    receive: (from: ClientTransport) => {
      for (; drops.slowReader === 0; sent++) from.send(Buffer.alloc(1_200));
    },
    clientGone: () => undefined,
  };
  const limits = { unauthenticatedRate: { burst: 1, perSec: 1 }, maxTcpConnections: 1, maxTcpConnectionsPerSource: 1 };
  const port = await freePort('127.86.1.8');
  const listener = new StreamListener({
    address: '127.86.1.8',
    port,
    reusePort: false,
    handler,
    drops,
    clock,
    logger: silentLogger,
    bugs: new BugLog(silentLogger, clock),
    sourceLimits: new SourceLimits(limits, sourceLimitMemory(1)),
  });
  await listener.start();
  const remote = connect(port, '127.86.1.8');
  remote.end(new StunWriter(METHOD.binding, CLASS.request, Buffer.alloc(12)).finish());
  expect(Buffer.concat(await remote.toArray())).toHaveLength((sent - 1) * 1_200);
  await listener.close();
});

describe.each(['tcp', 'tls'] as const)('over %s', (transport) => {
  test('a connection without an allocation is closed after thirty seconds, one with an allocation stays', async () => {
    const idle = await dial(undefined, transport);
    const client = await turn.client(transport);
    await client.allocate();
    await expect.poll(connections).toBe(2);
    const closed = once(idle, 'close');
    clock.advance(31_000);
    await closed;
    expect(await closedFor('idle')).toBe(1);
    expect(await client.refresh()).toBe(600);
    await client.refresh(0);
    clock.advance(31_000);
    await client.disconnected;
  });

  test('a frame that has begun and does not end closes the connection after ten seconds', async () => {
    const client = await turn.client(transport);
    await client.allocate();
    const request = client.buildRequest(METHOD.refresh);
    const answer = client.exchange(request);
    // The answer proves that the server has read the bytes of the next frame that came with it.
    client.sendRaw(Buffer.from([0x40, 0x00, 0x01]));
    await answer;
    clock.advance(9_000);
    expect(turn.service.tenants.allocationCount).toBe(1);
    clock.advance(2_000);
    await client.disconnected;
    expect(await closedFor('half-read')).toBe(1);
  });

  test('frames that end in time keep the connection, though every chunk is cut in the middle of one', async () => {
    const client = await turn.client(transport);
    const peer = await turn.peer();
    await client.allocate();
    await client.channelBind(0x4000, peer.address, peer.port);
    const frames = Array.from({ length: 6 }, (_, n) => encodeChannelData(0x4000, Buffer.from(`frame ${n}`), true));
    const stream = Buffer.concat(frames);
    const cut = (n: number) => n * 12 + 6;
    client.sendRaw(stream.subarray(0, cut(1)));
    for (let n = 1; n < 5; n++) {
      expect((await peer.next()).data.toString()).toBe(`frame ${n - 1}`);
      clock.advance(6_000);
      client.sendRaw(stream.subarray(cut(n), cut(n + 1)));
    }
    expect((await peer.next()).data.toString()).toBe('frame 4');
    expect(await closedFor('half-read')).toBe(0);
  });

  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['TLS', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01])],
    ['RTP', Buffer.from([0x80, 0x60, 0, 1])],
    ['a STUN message with a wrong cookie', Buffer.alloc(20)],
    ['a frame too large for a stranger', Buffer.from([0x40, 0, 0xff, 0xff])],
  ])('%s closes the connection at once', async (_what, bytes) => {
    const socket = await dial(undefined, transport);
    const closed = once(socket, 'close');
    socket.write(bytes);
    await closed;
    expect(await closedFor('malformed')).toBe(1);
  });

  test('a client that leaves ends its allocation at once', async () => {
    const client = await turn.client(transport);
    await client.allocate();
    await client.close();
    await expect.poll(() => turn.portsBound).toBe(0);
    expect(turn.server.counters.ended.get('client-disconnected')).toBe(1);
  });

  test('large and small frames of a client arrive whole however they are cut', async () => {
    const client = await turn.client(transport);
    const peer = await turn.peer();
    await client.allocate();
    await client.channelBind(0x4000, peer.address, peer.port);
    const large = Buffer.alloc(40_000, 7);
    const stream = Buffer.concat(
      [large, Buffer.from('small'), Buffer.alloc(0), large].map((data) => encodeChannelData(0x4000, data, true)),
    );
    for (let at = 0; at < stream.length; at += 999) client.sendRaw(stream.subarray(at, at + 999));
    expect((await peer.next()).data.equals(large)).toBe(true);
    expect((await peer.next()).data.toString()).toBe('small');
    expect((await peer.next()).data).toHaveLength(0);
    expect((await peer.next()).data.equals(large)).toBe(true);
  });

  test('a slow reader loses data first and its connection after ten seconds, with the reason told', async () => {
    const client = await turn.client(transport);
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    await client.channelBind(0x4000, peer.address, peer.port);
    client.pauseReading();
    const data = Buffer.alloc(1200);
    await expect
      .poll(
        () => {
          for (let n = 0; n < 200; n++) peer.send(data, relayed.port);
          return turn.drops.slowReader;
        },
        { interval: 5 },
      )
      .toBeGreaterThan(0);
    clock.advance(9_000);
    expect(turn.service.tenants.allocationCount).toBe(1);
    clock.advance(2_000);
    await expect.poll(() => turn.server.counters.ended.get('slow-reader')).toBe(1);
    expect(await closedFor('slow-reader')).toBe(1);
  });

  test('requests of a stream are answered one by one, many in one chunk', async () => {
    const client = await turn.client(transport);
    await client.allocate();
    const requests = Array.from({ length: 20 }, () => client.buildRequest(METHOD.refresh));
    const answers = requests.map((request) => client.exchange(request));
    client.sendRaw(Buffer.alloc(0));
    for (const answer of await Promise.all(answers)) expect(answer.errorCode).toBeUndefined();
  });
});
