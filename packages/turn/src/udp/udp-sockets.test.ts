import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BugLog } from '../bug-log.ts';
import { DropCounters } from '../relay/relay.ts';
import { openBatchedSockets } from './batched/open-batched.ts';
import { DgramSockets } from './dgram-sockets.ts';
import { HostAddress, type UdpSocket, type UdpSocketOptions, type UdpSockets } from './udp-socket.ts';

const HERE = '127.95.9.1';
const SOMEWHERE = new HostAddress(HERE);

interface Received {
  data: Buffer;
  host: number | string;
  port: number;
}

/** A socket that keeps what it gets. */
class Inbox {
  readonly received: Received[] = [];
  socket!: UdpSocket;

  static async open(sockets: UdpSockets, options: Partial<UdpSocketOptions> = {}): Promise<Inbox> {
    const inbox = new Inbox();
    inbox.socket = await sockets.open({
      address: HERE,
      port: 0,
      sendQueueMaxBytes: 1_000_000,
      onDatagram: (buffer, bytes, host, port) =>
        inbox.received.push({ data: Buffer.from(buffer.subarray(0, bytes)), host, port }),
      ...options,
    });
    return inbox;
  }

  send(data: Buffer, to: Inbox, address = SOMEWHERE): void {
    this.socket.send(data, 0, data.length, address, to.socket.port);
  }

  async wait(count: number): Promise<Received[]> {
    await expect.poll(() => this.received.length, { interval: 5 }).toBeGreaterThanOrEqual(count);
    return this.received;
  }
}

const BACK_ENDS: [string, (drops: DropCounters, bugs: BugLog) => Promise<UdpSockets>][] = [
  ['DgramSockets', async (drops, bugs) => new DgramSockets(drops, bugs)],
  ['BatchedSockets', openBatchedSockets],
];

describe.each(BACK_ENDS)('%s', (_name, make) => {
  let drops: DropCounters;
  let reported: unknown[];
  let sockets: UdpSockets;
  let inboxes: Inbox[];
  beforeEach(async () => {
    drops = new DropCounters();
    reported = [];
    const bugs = new BugLog(silentLogger, systemClock);
    vi.spyOn(bugs, 'report').mockImplementation((thrown) => reported.push(thrown));
    sockets = await make(drops, bugs);
    inboxes = [];
  });
  afterEach(async () => {
    for (const { socket } of inboxes) await socket.close();
  });

  async function open(options: Partial<UdpSocketOptions> = {}): Promise<Inbox> {
    const inbox = await Inbox.open(sockets, options);
    inboxes.push(inbox);
    return inbox;
  }

  test('send delivers every size that UDP has, byte for byte, with the sender’s address', async () => {
    const [from, to] = [await open(), await open()];
    const sizes = [0, 1, 3, 1200, 1472, 9000, 65_507];
    for (const size of sizes) {
      from.send(Buffer.alloc(size, size & 255), to);
      await to.wait(1);
      const [got] = to.received.splice(0);
      expect(got?.data.equals(Buffer.alloc(size, size & 255))).toBe(true);
      expect([got?.host, got?.port]).toEqual([SOMEWHERE.key, from.socket.port]);
    }
  });

  test('send takes only the bytes between start and end', async () => {
    const [from, to] = [await open(), await open()];
    from.socket.send(Buffer.from('0123456789'), 3, 7, SOMEWHERE, to.socket.port);
    expect((await to.wait(1))[0]?.data.toString()).toBe('3456');
  });

  test('sendFramed puts header, data and zeros into one datagram', async () => {
    const [from, to] = [await open(), await open()];
    from.socket.sendFramed(Buffer.from('head....'), 4, Buffer.from('data....'), 4, 3, SOMEWHERE, to.socket.port);
    expect((await to.wait(1))[0]?.data).toEqual(Buffer.from('headdata\0\0\0'));
  });

  test('the caller may overwrite its buffers as soon as it has sent them', async () => {
    const [from, to] = [await open(), await open()];
    const [header, data] = [Buffer.alloc(4), Buffer.alloc(100)];
    for (let i = 0; i < 50; i++) {
      header.fill(i);
      data.fill(i);
      from.socket.sendFramed(header, 4, data, data.length, 0, SOMEWHERE, to.socket.port);
    }
    header.fill(255);
    data.fill(255);
    const received = await to.wait(50);
    received.forEach((got, i) => {
      expect(got.data).toEqual(Buffer.alloc(104, i));
    });
  });

  test('a receiver passes datagrams on to many sockets, whole and in order', async () => {
    const targets = await Promise.all(Array.from({ length: 7 }, () => open()));
    const senders = await Promise.all(Array.from({ length: 3 }, () => open()));
    const relay: Inbox = await open({
      receiveBufferBytes: 4 * 1024 * 1024,
      onDatagram: (data, bytes, _host, port) => {
        const target = targets[(data[0] as number) % targets.length] as Inbox;
        const out = senders.find(({ socket }) => socket.port === port) ?? relay;
        if ((data[0] as number) % 2 === 0) out.socket.send(data, 1, bytes, SOMEWHERE, target.socket.port);
        else out.socket.sendFramed(Buffer.from('odd!'), 4, data, bytes, 1, SOMEWHERE, target.socket.port);
      },
    });
    const rounds = 90;
    for (let i = 0; i < rounds; i++) for (const sender of senders) sender.send(Buffer.alloc(50 + i, i), relay);
    for (const [index, target] of targets.entries()) {
      const expected = Array.from({ length: rounds }, (_, i) => i).filter((i) => i % targets.length === index);
      const received = await target.wait(expected.length * senders.length);
      for (const sender of senders) {
        const own = received.filter(({ port }) => port === sender.socket.port).map(({ data }) => data);
        expect(own).toEqual(
          expected.map((i) =>
            i % 2 === 0
              ? Buffer.alloc(49 + i, i)
              : Buffer.concat([Buffer.from('odd!'), Buffer.alloc(50 + i, i), Buffer.alloc(1)]),
          ),
        );
      }
    }
  });

  test('a receiver may close its own socket and others while their datagrams wait', async () => {
    const [from, victim, late] = [await open(), await open(), await open()];
    let seen = 0;
    const closer: Inbox = await open({
      onDatagram: (data, bytes) => {
        seen++;
        closer.socket.send(data, 0, bytes, SOMEWHERE, late.socket.port);
        void closer.socket.close();
        void victim.socket.close();
      },
    });
    for (let i = 0; i < 10; i++) {
      from.send(Buffer.from([i]), closer);
      from.send(Buffer.from([i]), victim);
    }
    expect((await late.wait(1))[0]?.data).toEqual(Buffer.from([0]));
    from.send(Buffer.from('end'), late);
    await late.wait(2);
    expect(seen).toBe(1);
    expect(late.received.length).toBe(2);
  });

  test('an error that a receiver throws costs that datagram, and is reported', async () => {
    const [from, to] = [await open(), await open()];
    const failing = await open({
      onDatagram: (data, bytes) => {
        if (data[0] === 1) throw new Error('a bug');
        to.received.push({ data: Buffer.from(data.subarray(0, bytes)), host: 0, port: 0 });
      },
    });
    for (const first of [0, 1, 2]) from.send(Buffer.from([first]), failing);
    expect((await to.wait(2)).map(({ data }) => data[0])).toEqual([0, 2]);
    expect(reported).toEqual([new Error('a bug')]);
  });

  test('open says EADDRINUSE for a port that somebody has, and close gives it back', async () => {
    const first = await open();
    const { port } = first.socket;
    await expect(sockets.open({ address: HERE, port, sendQueueMaxBytes: 1000, onDatagram: () => undefined }))
      .rejects //
      .toMatchObject({ code: 'EADDRINUSE' });
    await first.socket.close();
    const again = await open({ port });
    expect(again.socket.port).toBe(port);
  });

  test('two sockets share a port with reusePort', async () => {
    const first = await open({ reusePort: true });
    const second = await open({ reusePort: true, port: first.socket.port });
    expect(second.socket.port).toBe(first.socket.port);
  });

  test('IPv6: addresses as text, and the socket leaves IPv4 alone', async () => {
    const loopback = new HostAddress('::1');
    const [from, to] = [await open({ address: '::1' }), await open({ address: '::1' })];
    from.send(Buffer.from('six'), to, loopback);
    const [got] = await to.wait(1);
    expect([got?.data.toString(), got?.host, got?.port]).toEqual(['six', '::1', from.socket.port]);
    await open({ address: '127.0.0.1', port: to.socket.port });
  });

  test('a datagram that cannot be sent is dropped alone', async () => {
    const [from, to] = [await open(), await open()];
    from.send(Buffer.alloc(65_508), to);
    from.socket.send(Buffer.from('x'), 0, 1, new HostAddress('::1'), to.socket.port);
    from.send(Buffer.from('after'), to);
    expect((await to.wait(1))[0]?.data.toString()).toBe('after');
  });

  test('timers and TCP go on while datagrams flow and while none do', async () => {
    const [from, to] = [await open(), await open()];
    const server = createServer((client) => client.pipe(client)).listen(0, HERE);
    await once(server, 'listening');
    for (const busy of [true, false]) {
      const flood = busy ? setInterval(() => from.send(Buffer.alloc(100), to), 1) : undefined;
      const client = connect((server.address() as AddressInfo).port, HERE);
      client.write('hello');
      const [answer] = (await once(client, 'data')) as [Buffer];
      expect(answer.toString()).toBe('hello');
      client.destroy();
      // A timer of its own comes too.
      await new Promise((resolve) => setTimeout(resolve));
      clearInterval(flood);
    }
    server.close();
  });

  test('timers and TCP go on while datagrams come without end', async () => {
    let passes = 0;
    const pong: Inbox = await open({
      onDatagram: (data, bytes) => pong.socket.send(data, 0, bytes, SOMEWHERE, ping.socket.port),
    });
    const ping: Inbox = await open({
      onDatagram: (data, bytes) => {
        passes++;
        ping.socket.send(data, 0, bytes, SOMEWHERE, pong.socket.port);
      },
    });
    ping.send(Buffer.from('ball'), pong);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(passes).toBeLessThan(10_000);
    const server = createServer((client) => client.pipe(client)).listen(0, HERE);
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, HERE);
    client.write('hello');
    await once(client, 'data');
    client.destroy();
    server.close();
  });

  test('whatever comes in, what goes out is what was passed on', async () => {
    const target = await open();
    const plan: { start: number; header: number; padding: number }[] = [];
    let index = 0;
    const relay: Inbox = await open({
      onDatagram: (data, bytes) => {
        const { start, header, padding } = plan[index++] as (typeof plan)[number];
        if (header === 0) relay.socket.send(data, Math.min(start, bytes), bytes, SOMEWHERE, target.socket.port);
        else relay.socket.sendFramed(Buffer.alloc(64, 7), header, data, bytes, padding, SOMEWHERE, target.socket.port);
      },
    });
    const outside = createSocket('udp4');
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            data: fc.uint8Array({ maxLength: 3000 }),
            start: fc.nat(40),
            header: fc.nat(64),
            padding: fc.nat(3),
          }),
          { minLength: 1, maxLength: 40 },
        ),
        async (packets) => {
          target.received.length = 0;
          plan.splice(0, plan.length, ...packets);
          index = 0;
          for (const { data } of packets) outside.send(data, relay.socket.port, HERE);
          const received = await target.wait(packets.length);
          expect(received.map(({ data }) => data)).toEqual(
            packets.map(({ data, start, header, padding }) =>
              header === 0
                ? Buffer.from(data.subarray(start))
                : Buffer.concat([Buffer.alloc(header, 7), data, Buffer.alloc(padding)]),
            ),
          );
        },
      ),
      { numRuns: 40 },
    );
    outside.close();
    expect(drops.sendFailed + drops.sendQueueFull).toBe(0);
  });
});

test('batched sockets tell for how long they did not look for datagrams', async () => {
  const sockets = await openBatchedSockets(new DropCounters(), new BugLog(silentLogger, systemClock));
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  const slow = await Inbox.open(sockets, { onDatagram: () => Atomics.wait(nobody, 0, 0, 50) });
  const from = await Inbox.open(sockets);
  sockets.standstill?.reset();
  from.send(Buffer.from('wait'), slow);
  await expect.poll(() => (sockets.standstill?.max ?? 0) / 1e6, { interval: 5 }).toBeGreaterThanOrEqual(50);
  await slow.socket.close();
  await from.socket.close();
  await sockets.close();
});
