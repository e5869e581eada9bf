import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BugLog } from '../../bug-log.ts';
import { DropCounters } from '../../relay/relay.ts';
import type { IcmpError } from '../../stun/index.ts';
import { HostAddress, type UdpSocket, type UdpSocketOptions } from '../udp-socket.ts';
import type { BatchedSockets } from './batched-sockets.ts';
import { openBatchedSockets } from './open-batched.ts';

const HERE = new HostAddress('127.33.9.1');
const HERE6 = new HostAddress('::1');
const PORT_UNREACHABLE = { type: 3, code: 3, data: 0 };
const PORT_UNREACHABLE6 = { type: 1, code: 4, data: 0 };

type Told = [host: number | string, port: number, error: IcmpError];

let drops: DropCounters;
let sockets: BatchedSockets;
let open: UdpSocket[];
let told: Told[];
beforeEach(async () => {
  drops = new DropCounters();
  sockets = await openBatchedSockets(drops, new BugLog(silentLogger, systemClock));
  open = [];
  told = [];
});
afterEach(async () => {
  for (const socket of open) await socket.close();
  await sockets.close();
});

async function bind({ text: address }: HostAddress, options: Partial<UdpSocketOptions> = {}): Promise<UdpSocket> {
  const onDatagram = () => undefined;
  const socket = await sockets.open({ address, port: 0, sendQueueMaxBytes: 1_000_000, onDatagram, ...options });
  open.push(socket);
  return socket;
}

const onIcmp = (...error: Told) => told.push(error);

/** A port that nobody has. */
async function deadPort(host: HostAddress): Promise<number> {
  const socket = createSocket(host === HERE ? 'udp4' : 'udp6').bind({ address: host.text, port: 0 });
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

test.each([
  [HERE, PORT_UNREACHABLE],
  [HERE6, PORT_UNREACHABLE6],
])('onIcmp is told of each datagram that the port of $text refused', async (host, error) => {
  const socket = await bind(host, { onIcmp });
  const port = await deadPort(host);
  socket.send(Buffer.from('first'), 0, 5, host, port);
  socket.send(Buffer.from('second'), 0, 6, host, port);
  await expect.poll(() => told, { interval: 5 }).toHaveLength(2);
  expect(told).toEqual([
    [host.key, port, error],
    [host.key, port, error],
  ]);
});

test('the ICMP error of one peer costs no datagram to another, one by one and in batches', async () => {
  const received: string[] = [];
  const there = await bind(HERE, {
    onDatagram: (buffer, bytes) => received.push(buffer.toString('latin1', 0, bytes)),
  });
  const gone = await deadPort(HERE);
  const texts = Array.from({ length: 40 }, (_, n) => `datagram ${n}`);
  // What is sent out of a receiver waits for a batch.
  const relay: UdpSocket = await bind(HERE, {
    onIcmp,
    onDatagram: (buffer, bytes) => {
      relay.send(buffer, 0, bytes, HERE, gone);
      relay.send(buffer, 0, bytes, HERE, there.port);
    },
  });
  const source = await bind(HERE);
  for (const text of texts) source.send(Buffer.from(text), 0, text.length, HERE, relay.port);
  await expect.poll(() => received, { interval: 5 }).toHaveLength(40);
  for (const text of texts) {
    relay.send(Buffer.from(text), 0, text.length, HERE, gone);
    relay.send(Buffer.from(text), 0, text.length, HERE, there.port);
  }
  await expect.poll(() => received, { interval: 5 }).toHaveLength(80);
  expect(received).toEqual([...texts, ...texts]);
  await expect.poll(() => told, { interval: 5 }).toHaveLength(80);
  expect(drops.sendFailed).toBe(0);
});

test('a socket that did not ask for ICMP errors goes on as if there were none', async () => {
  const received: string[] = [];
  const there = await bind(HERE, { onDatagram: (_buffer, bytes) => received.push(String(bytes)) });
  const socket = await bind(HERE);
  const gone = await deadPort(HERE);
  socket.send(Buffer.from('nobody'), 0, 6, HERE, gone);
  socket.send(Buffer.from('somebody'), 0, 8, HERE, there.port);
  await expect.poll(() => received, { interval: 5 }).toEqual(['8']);
  expect(drops.sendFailed).toBe(0);
});

test('a datagram that the path does not take is dropped and told to nobody: no ICMP error came', async () => {
  const socket = await bind(HERE6, { onIcmp });
  const there = await bind(HERE6);
  const data = Buffer.alloc(65_536 - 40 - 8 + 1);
  socket.sendWithDf(data, 0, data.length, HERE6, there.port);
  expect(drops.sendFailed).toBe(1);
  socket.send(Buffer.from('x'), 0, 1, HERE6, await deadPort(HERE6));
  await expect.poll(() => told, { interval: 5 }).toHaveLength(1);
  expect(told[0]?.[2]).toEqual(PORT_UNREACHABLE6);
});
