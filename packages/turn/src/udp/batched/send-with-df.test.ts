import { systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BugLog } from '../../bug-log.ts';
import { DropCounters } from '../../relay/relay.ts';
import { HostAddress, type OnDatagram, type UdpSocket } from '../udp-socket.ts';
import { BatchedSockets } from './batched-sockets.ts';
import { IP_MTU_DISCOVER, IPPROTO_IP, Libc, PMTUDISC_DO } from './libc.ts';
import { findLoopDescriptor } from './loop-descriptor.ts';

const HERE = new HostAddress('127.85.9.1');
const HERE6 = new HostAddress('::1');
/** The most that one IPv6 packet of the loopback interface takes; UDP has room for a little more. */
const FITS_BYTES = 65_536 - 40 - 8;
const TOO_LARGE_BYTES = FITS_BYTES + 1;

let libc: Libc;
let drops: DropCounters;
let sockets: BatchedSockets;
let open: UdpSocket[];
beforeEach(async () => {
  libc = new Libc();
  drops = new DropCounters();
  const loop = await findLoopDescriptor(libc);
  if (loop === undefined) throw new Error('the event loop’s descriptor was not found');
  sockets = new BatchedSockets(libc, loop, drops, new BugLog(silentLogger, systemClock));
  open = [];
});
afterEach(async () => {
  for (const socket of open) await socket.close();
  await sockets.close();
});

async function bind({ text: address }: HostAddress, onDatagram: OnDatagram = () => undefined): Promise<UdpSocket> {
  const socket = await sockets.open({ address, port: 0, sendQueueMaxBytes: 1_000_000, onDatagram });
  open.push(socket);
  return socket;
}

test('sendWithDf sends what fits the path MTU, and drops and counts what does not', async () => {
  const sizes: number[] = [];
  const to = await bind(HERE6, (_buffer, bytes) => sizes.push(bytes));
  const from = await bind(HERE6);
  const data = Buffer.alloc(TOO_LARGE_BYTES);
  from.sendWithDf(data, 0, FITS_BYTES, HERE6, to.port);
  from.sendWithDf(data, 0, TOO_LARGE_BYTES, HERE6, to.port);
  expect(drops.sendFailed).toBe(1);
  // The socket is as it was: others of its datagrams may be fragmented.
  from.send(data, 0, TOO_LARGE_BYTES, HERE6, to.port);
  await expect.poll(() => sizes).toEqual([FITS_BYTES, TOO_LARGE_BYTES]);
  expect(drops.sendFailed).toBe(1);
});

test('sendWithDf leaves alone what waits for the same socket, and keeps the order', async () => {
  const sizes: number[] = [];
  const to = await bind(HERE6, (_buffer, bytes) => sizes.push(bytes));
  const relay: UdpSocket = await bind(HERE6, (buffer, bytes) => {
    relay.send(buffer, 0, bytes, HERE6, to.port);
    relay.sendWithDf(buffer, 1, bytes, HERE6, to.port);
    relay.send(buffer, 2, bytes, HERE6, to.port);
  });
  const from = await bind(HERE6);
  from.send(Buffer.alloc(100), 0, 100, HERE6, relay.port);
  await expect.poll(() => sizes).toEqual([100, 99, 98]);
  const larger = TOO_LARGE_BYTES + 2;
  from.send(Buffer.alloc(larger), 0, larger, HERE6, relay.port);
  await expect.poll(() => sizes).toEqual([100, 99, 98, larger, larger - 2]);
  expect(drops.sendFailed).toBe(1);
});

test('sendWithDf sets IP_MTU_DISCOVER of an IPv4 socket for its own datagram alone', async () => {
  const got: string[] = [];
  const to = await bind(HERE, (buffer, bytes) => got.push(buffer.toString('utf8', 0, bytes)));
  const from = await bind(HERE);
  const seen: number[] = [];
  const { sendto } = libc;
  vi.spyOn(libc, 'sendto').mockImplementation((descriptor, ...rest) => {
    seen.push(libc.option(descriptor, IPPROTO_IP, IP_MTU_DISCOVER));
    return sendto(descriptor, ...rest);
  });
  from.send(Buffer.from('a'), 0, 1, HERE, to.port);
  from.sendWithDf(Buffer.from('b'), 0, 1, HERE, to.port);
  from.send(Buffer.from('c'), 0, 1, HERE, to.port);
  await expect.poll(() => got).toEqual(['a', 'b', 'c']);
  expect(seen[1]).toBe(PMTUDISC_DO);
  expect(seen[0]).not.toBe(PMTUDISC_DO);
  expect(seen[2]).toBe(seen[0]);
});
