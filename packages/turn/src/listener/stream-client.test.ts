import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import { DropCounters } from '../relay/relay.ts';
import { StreamClient } from './stream-client.ts';
import { StreamOutbox } from './stream-outbox.ts';

const BINDING = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');

function clientOf(clock: VirtualClock, protocol: 'tcp' | 'tls' = 'tcp', socket = new Socket()) {
  const received: Buffer[] = [];
  const handler = { receive: (_: unknown, packet: Buffer) => void received.push(packet), clientGone: () => undefined };
  const drops = new DropCounters();
  const options = { handler, drops, clock, outbox: new StreamOutbox(), sharedPort: undefined };
  return { client: new StreamClient(protocol, socket, options), received, drops };
}

/** Sends a byte each second until the client is overdue; after how many seconds, and why. */
function trickle(client: StreamClient, clock: VirtualClock, bytes: Buffer) {
  for (let second = 1; second <= 100; second++) {
    expect(client.read(bytes.subarray((second - 1) % bytes.length, ((second - 1) % bytes.length) + 1))).toBe(true);
    clock.advance(1_000);
    const reason = client.overdue(clock.monotonic());
    if (reason !== undefined) return { second, reason };
  }
  return undefined;
}

test('a byte a second ends with the frame that takes more than ten', () => {
  const clock = new VirtualClock();
  const { client, received } = clientOf(clock);
  expect(trickle(client, clock, BINDING)).toEqual({ second: 10, reason: 'half-read' });
  expect(received).toHaveLength(0);
});

test('small frames at a byte a second end after the thirty seconds a connection has without an allocation', () => {
  const clock = new VirtualClock();
  const { client } = clientOf(clock);
  const channelData = Buffer.from([0x40, 0x00, 0x00, 0x01, 0xff, 0, 0, 0]);
  expect(trickle(client, clock, channelData)).toEqual({ second: 30, reason: 'idle' });
});

test('a TLS client has ten seconds for its handshake, and thirty more for an allocation', () => {
  const clock = new VirtualClock();
  const { client } = clientOf(clock, 'tls');
  clock.advance(9_999);
  expect(client.overdue(clock.monotonic())).toBeUndefined();
  clock.advance(1);
  expect(client.overdue(clock.monotonic())).toBe('handshake-timeout');
  client.opened();
  expect(client.overdue(clock.monotonic())).toBeUndefined();
  clock.advance(20_000);
  expect(client.overdue(clock.monotonic())).toBe('idle');
});

test('a client that has said its last word has ten seconds to read what waits for it', () => {
  const clock = new VirtualClock();
  const { client } = clientOf(clock);
  client.ended();
  clock.advance(9_999);
  expect(client.overdue(clock.monotonic())).toBeUndefined();
  clock.advance(1);
  expect(client.overdue(clock.monotonic())).toBe('linger');
});

test('frames that follow the end of a connection in the same chunk are not read', () => {
  const { client, received } = clientOf(new VirtualClock());
  client.read(BINDING);
  client.destroy();
  client.read(Buffer.concat([BINDING, BINDING]));
  expect(received).toHaveLength(1);
});

test('what was sent before we end a connection arrives', async () => {
  const server = createServer((socket) => {
    const { client } = clientOf(new VirtualClock(), 'tcp', socket);
    client.send(Buffer.from('first '));
    client.send(Buffer.from('last'));
    client.destroy();
  });
  server.listen(0, '127.93.1.9');
  await once(server, 'listening');
  const remote = connect((server.address() as AddressInfo).port, '127.93.1.9');
  const chunks = await remote.toArray();
  expect(Buffer.concat(chunks).toString()).toBe('first last');
  server.close();
});

test('a client that takes nothing for thirty seconds is a slow reader, though nothing had to be dropped', async () => {
  const clock = new VirtualClock();
  const server = createServer().listen(0, '127.86.1.9');
  await once(server, 'listening');
  const remote = connect((server.address() as AddressInfo).port, '127.86.1.9');
  remote.pause();
  const [socket] = (await once(server, 'connection')) as [Socket];
  const { client, drops } = clientOf(clock, 'tcp', socket);
  client.allocating = true;
  while (socket.writableLength === 0) {
    client.send(Buffer.alloc(1_200));
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.send(Buffer.from('the last'));
  clock.advance(29_999);
  expect(client.overdue(clock.monotonic())).toBeUndefined();
  clock.advance(1);
  expect(client.overdue(clock.monotonic())).toBe('slow-reader');
  expect(drops.slowReader).toBe(0);
  // It gets what waited when it reads again, and then is none.
  let tail = Buffer.alloc(0);
  for await (const chunk of remote) {
    tail = Buffer.concat([tail, chunk as Buffer]).subarray(-8);
    if (tail.toString() === 'the last') break;
  }
  expect(client.overdue(clock.monotonic())).toBeUndefined();
  socket.destroy();
  server.close();
});
