import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { type Clock, systemClock, VirtualClock } from '@orama/core';
import { createMetrics } from '@orama/core/metrics';
import { decode, encode, streamEncode } from 'dns-packet';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { DnsServer } from './dns-server.ts';
import { buildZone } from './zone.ts';

const ADDRESS = '127.112.0.1';
const OTHER_ADDRESS = '127.112.0.2';
const NAME = 'turn.ns-demo.orama.test';
const run = promisify(execFile);
const zone = (count: number) =>
  buildZone({
    baseDomain: 'orama.test',
    serial: 3,
    nameservers: [{ name: 'node-1.dns.orama.test', addresses: ['203.0.113.1'] }],
    contact: 'hostmaster.orama.test',
    records: Array.from({ length: count }, (_, index) => ({
      fqdn: NAME,
      type: 'A' as const,
      value: `203.0.113.${index}`,
      ttlSec: 60,
    })),
  });

async function start(count: number | null = 2, clock: Clock = systemClock) {
  const metrics = createMetrics('test');
  const options = { listen: [{ address: ADDRESS, port: 0 }], clock, logger: pino({ level: 'silent' }), metrics };
  const server = new DnsServer(options);
  const [bound] = await server.start();
  onTestFinished(() => server.stop());
  if (count !== null) server.serve(zone(count));
  const port = bound?.port ?? 0;
  const dig = async (...args: string[]) => {
    const { stdout } = await run('dig', [`@${ADDRESS}`, '-p', `${port}`, '+tries=1', '+time=5', ...args]);
    return stdout;
  };
  const counted = async (name: string, labels: string) =>
    Number(new RegExp(`${name}\\{[^}]*${labels}[^}]*\\} (\\d+)`).exec(await metrics.metrics())?.[1] ?? 0);
  return { server, port, dig, counted, options };
}

/** Ends with the connection, also when that is reset because not all was read. */
function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** What comes over a connection until it ends. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await closed(socket);
  return Buffer.concat(chunks);
}
const query = { type: 'query' as const, id: 9, questions: [{ name: NAME, type: 'A' as const }] };

test('dig reads addresses, the SOA record of what is not there, and a refusal', async () => {
  const { dig } = await start();
  expect((await dig(NAME, 'A', '+short')).trim().split('\n').sort()).toEqual(['203.0.113.0', '203.0.113.1']);
  const nothing = await dig('nobody.orama.test', 'A');
  expect(nothing).toContain('status: NXDOMAIN');
  expect(nothing).toMatch(/flags: qr aa rd;.*AUTHORITY: 1/);
  expect(nothing).toMatch(/orama\.test\.\s+30\s+IN\s+SOA\s+node-1\.dns\.orama\.test\. hostmaster\.orama\.test\. 3 /);
  expect(await dig('example.com', 'A')).toContain('status: REFUSED');
  expect(await dig(NAME, 'A', '+edns=1', '+noednsnegotiation')).toContain('status: BADVERS');
  expect(await dig(NAME, 'A', '+dnssec', '+nsid', '+cookie')).toMatch(/status: NOERROR.*flags: do; udp: 1232/s);
});

test('dig goes on over TCP by itself where the answer is too long, and asks twice over one connection', async () => {
  const { dig, counted } = await start(200);
  const long = await dig(NAME, 'A');
  expect(long).toContain('Truncated, retrying in TCP mode');
  expect(long).toContain('ANSWER: 200');
  expect(await dig('+tcp', '+keepopen', NAME, 'A', 'orama.test', 'NS')).toMatch(/ANSWER: 200.*ANSWER: 1/s);
  expect(await counted('orama_dns_withheld_total', 'reason="truncated"')).toBe(1);
  expect(await counted('orama_dns_answers_total', 'transport="tcp",rcode="NOERROR"')).toBe(3);
});

test('the server says SERVFAIL before it has a zone', async () => {
  const { dig, server } = await start(null);
  expect(await dig(NAME, 'A')).toContain('status: SERVFAIL');
  server.serve(zone(1));
  expect(await dig(NAME, 'A')).toContain('status: NOERROR');
});

test('a port that is taken is named with its field', async () => {
  const { port, options } = await start();
  const second = new DnsServer({ ...options, metrics: createMetrics('other'), listen: [{ address: ADDRESS, port }] });
  await expect(second.start()).rejects.toThrow(`dns.listen.0: UDP port ${port} of ${ADDRESS} is in use`);
});

test('an address that cannot be bound keeps no other from being served, and is bound when it can be', async () => {
  const { port, options, server } = await start();
  const listen = [
    { address: ADDRESS, port },
    { address: OTHER_ADDRESS, port },
  ];
  const second = new DnsServer({ ...options, metrics: createMetrics('other'), listen });
  onTestFinished(() => second.stop());
  await expect(second.start()).rejects.toThrow('dns.listen.0');
  second.serve(zone(1));
  const { stdout } = await run('dig', [`@${OTHER_ADDRESS}`, '-p', `${port}`, '+tries=1', '+time=5', NAME, 'A']);
  expect(stdout).toContain('status: NOERROR');
  await server.stop();
  expect(await second.start()).toEqual([listen[1], listen[0]]);
});

test('a source that asks too much over UDP is sent to TCP or not answered, and hears of it no more than it asked', async () => {
  const { port, counted } = await start(2, new VirtualClock());
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  const asked = encode(query);
  const full = 12 + (asked.length - 12) + 2 * 16;
  const lengths: number[] = [];
  const ask = async () => {
    socket.send(asked, port, ADDRESS);
    const [bytes] = (await once(socket, 'message')) as [Buffer];
    lengths.push(bytes.length);
    return decode(bytes);
  };
  for (let count = 0; count < 200; count += 1) await ask();
  expect(new Set(lengths)).toEqual(new Set([full]));
  expect(await ask()).toMatchObject({ flag_tc: true, answers: [] });
  expect(lengths.at(-1)).toBe(asked.length);
  socket.send(asked, port, ADDRESS);
  expect(await ask()).toMatchObject({ flag_tc: true });
  expect(await counted('orama_dns_withheld_total', 'transport="udp",reason="rate"')).toBe(1);
  expect(await counted('orama_dns_withheld_total', 'transport="udp",reason="slip"')).toBe(2);
});

test('queries that come all at once over TCP are answered in order', async () => {
  const { port } = await start();
  const socket = connect(port, ADDRESS);
  const all = Array.from({ length: 50 }, (_, id) => streamEncode({ ...query, id }));
  const bytes = Buffer.concat(all);
  socket.write(bytes.subarray(0, 101));
  const one = 2 + 12 + (encode(query).length - 12) + 2 * 16;
  const got: Buffer[] = [];
  socket.write(bytes.subarray(101));
  for await (const chunk of socket) {
    got.push(chunk as Buffer);
    if (Buffer.concat(got).length >= 50 * one) break;
  }
  const answers = Buffer.concat(got);
  expect(answers.length).toBe(50 * one);
  const ids = Array.from({ length: 50 }, (_, index) => answers.readUInt16BE(index * one + 2));
  expect(ids).toEqual(Array.from({ length: 50 }, (_, id) => id));
});

test('a TCP connection ends when it is idle, although bytes trickle', async () => {
  const clock = new VirtualClock();
  const { port, counted } = await start(2, clock);
  const socket = connect(port, ADDRESS);
  const first = streamEncode(query);
  socket.write(first);
  await once(socket, 'data');
  clock.advance(9_000);
  const echoed = once(socket, 'data');
  socket.write(first);
  await echoed;
  socket.write(first.subarray(0, 5));
  clock.advance(9_999);
  expect(socket.closed).toBe(false);
  const end = readAll(socket);
  clock.advance(1);
  expect(await end).toEqual(Buffer.alloc(0));
  expect(await counted('orama_dns_withheld_total', 'reason="idle"')).toBe(1);
});

test('a TCP connection ends with a message that no query is as long as, and with one that is none', async () => {
  const { port, counted } = await start();
  for (const bytes of [Buffer.from([0x04, 0x01, 1]), Buffer.from([0, 1, 1])]) {
    const socket = connect(port, ADDRESS);
    socket.write(bytes);
    expect(await readAll(socket)).toEqual(Buffer.alloc(0));
  }
  expect(await counted('orama_dns_withheld_total', 'reason="oversized"')).toBe(1);
  expect(await counted('orama_dns_withheld_total', 'reason="not-a-query"')).toBe(1);
});

test('one source has at most 20 TCP connections, and the next when one of them ends', async () => {
  const { port } = await start();
  const open = async () => {
    const socket = connect(port, ADDRESS);
    onTestFinished(() => void socket.destroy());
    socket.write(streamEncode(query));
    const answered = new Promise<boolean>((resolve) => socket.once('data', () => resolve(true)));
    const heard = await Promise.race([answered, closed(socket).then(() => false)]);
    return { socket, heard };
  };
  const sockets = [];
  for (let count = 0; count < 20; count += 1) sockets.push(await open());
  expect(sockets.every(({ heard }) => heard)).toBe(true);
  expect((await open()).heard).toBe(false);
  const [first] = sockets;
  first?.socket.end();
  if (first) await closed(first.socket);
  expect((await open()).heard).toBe(true);
});
