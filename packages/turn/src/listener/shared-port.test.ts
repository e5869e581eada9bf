import { once } from 'node:events';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import {
  type ConnectionOptions,
  connect as connectTls,
  createSecureContext,
  type TLSSocket,
  TLSSocket as Tls,
} from 'node:tls';
import { VirtualClock } from '@orama/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SelfSigner } from '../certificates/self-signed.ts';
import { CLIENT_IP, freePort, PUBLIC_IP, TurnHarness } from '../testing/harness.ts';

const TURN_NAME = 'turn.ns-demo.orama.localhost';
const SITE = 'ns-demo.orama.localhost';
const HTTPS_IP = '127.81.0.251';
const PROXY_HEADER_BYTES = 28;

let turn: TurnHarness;
let clock: VirtualClock;
let port: number;
/** Stands beside TURN as Caddy would: takes what it is passed, by the PROXY protocol. */
let https: Server;
let onConnection: (connection: Socket) => void;
const sockets: Socket[] = [];
const secureContext = createSecureContext(new SelfSigner().sign([SITE], Date.now()));

beforeEach(async () => {
  clock = new VirtualClock(Date.now());
  onConnection = (connection) => void serveHttps(connection);
  https = createServer({ allowHalfOpen: true }, (connection) => {
    sockets.push(connection);
    connection.on('error', () => undefined);
    onConnection(connection);
  });
  https.listen(0, HTTPS_IP);
  await once(https, 'listening');
  port = await freePort(PUBLIC_IP);
  const to = { address: HTTPS_IP, port: (https.address() as { port: number }).port };
  const shared = { port, https: to };
  turn = await TurnHarness.start({ maxTcpConnections: 8, maxTcpConnectionsPerSource: 4, tls: { shared } }, clock);
  await turn.attach({ domain: TURN_NAME });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  https.close();
  await turn.close();
});

/** Reads the header, then answers whatever is said over TLS with what the header said. */
async function serveHttps(connection: Socket): Promise<void> {
  const header = await read(connection, PROXY_HEADER_BYTES);
  const tls = new Tls(connection, { isServer: true, secureContext, ALPNProtocols: ['http/1.1', 'acme-tls/1'] });
  tls.on('error', () => undefined);
  tls.on('data', () => tls.write(header));
}
async function read(connection: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const chunk = connection.read(bytes) as Buffer | null;
    if (chunk) return chunk;
    await once(connection, 'readable');
  }
}
async function dial(localAddress = CLIENT_IP): Promise<Socket> {
  const socket = connectTcp({ host: PUBLIC_IP, port, localAddress, allowHalfOpen: true });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}
/** Whose certificate is shown. */
async function handshake(options: ConnectionOptions): Promise<{ socket: TLSSocket; names: string | undefined }> {
  const socket = connectTls({ socket: await dial(), rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  return { socket, names: socket.getPeerCertificate().subjectaltname };
}
async function metric(line: string): Promise<number> {
  const text = await (await turn.internal('/metrics')).text();
  const found = text.split('\n').find((one) => one.startsWith(line));
  return Number(found?.split(' ')[1] ?? 0);
}
const closedFor = (reason: string) => metric(`turn_stream_closed_total{reason="${reason}"`);
const connections = () => metric('turn_stream_connections');
/** The first flight of a client for a site. */
async function helloBytes(servername: string): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ ...(server.address() as { port: number }), host: '127.0.0.1', servername });
  client.on('error', () => undefined);
  const [connection] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(connection, 'data')) as [Buffer];
  connection.destroy();
  server.close();
  return bytes;
}

test.each([
  ['the name of a tenant', { servername: TURN_NAME }],
  ['stun.turn', { servername: SITE, ALPNProtocols: ['stun.turn'] }],
])('who asks for %s allocates over TLS on the shared port', async (_what, tls) => {
  const server = { address: PUBLIC_IP, port };
  const client = await turn.client('tls', { server, tls: { ...tls, rejectUnauthorized: false } });
  await client.allocate();
  expect(await connections()).toBe(1);
  await client.close();
  await expect.poll(connections).toBe(0);
});

test.each([
  ['another name', { servername: SITE }],
  ['no name', {}],
  ['a proof of the name of a tenant', { servername: TURN_NAME, ALPNProtocols: ['acme-tls/1'] }],
])('who asks for %s gets to the HTTPS server, which is told who it is', async (_what, options) => {
  const { socket, names } = await handshake(options);
  expect(names).toBe(`DNS:${SITE}`);
  socket.write('who am I?');
  const [header] = (await once(socket, 'data')) as [Buffer];
  expect(header.subarray(0, 16).toString('hex')).toBe('0d0a0d0a000d0a515549540a2111000c');
  expect([...header.subarray(16, 24)]).toEqual([...CLIENT_IP.split('.'), ...PUBLIC_IP.split('.')].map(Number));
  expect(header.readUInt16BE(26)).toBe(port);
  expect(await connections()).toBe(1);
});

test('a ClientHello that comes byte by byte is understood, one that never ends is not waited for', async () => {
  const arrived = Promise.withResolvers<Buffer>();
  onConnection = (connection) => void read(connection, PROXY_HEADER_BYTES + hello.length).then(arrived.resolve);
  const hello = await helloBytes(SITE);
  const slow = await dial();
  slow.setNoDelay(true);
  for (const byte of hello) slow.write(Buffer.of(byte));
  expect((await arrived.promise).subarray(PROXY_HEADER_BYTES)).toEqual(hello);

  const never = await dial();
  never.write(hello.subarray(0, 20));
  await expect.poll(connections).toBe(2);
  const over = once(never, 'end');
  clock.advance(10_000);
  await over;
  expect(await closedFor('handshake-timeout')).toBe(1);
});

test('what is no TLS is closed at once', async () => {
  const socket = await dial();
  const over = once(socket.resume(), 'end');
  socket.write('GET / HTTP/1.1\r\n\r\n');
  await over;
  expect(await closedFor('malformed')).toBe(1);
});

test('connections for either count together, each source has its share', async () => {
  // Those that have come and gone leave nothing behind, one way or the other.
  for (let n = 0; n < 3; n++) (await handshake({ servername: TURN_NAME })).socket.destroy();
  await expect.poll(connections).toBe(0);
  const hello = await helloBytes(SITE);
  for (let n = 0; n < 3; n++) (await dial()).write(hello);
  await handshake({ servername: TURN_NAME });
  await expect.poll(connections).toBe(4);
  const fifth = await dial();
  await once(fifth.resume(), 'end');
  expect(await closedFor('too-many')).toBe(1);
  const other = await dial('127.81.3.2');
  other.write(hello);
  await expect.poll(connections).toBe(5);
  const destroyAll = () => {
    for (const socket of sockets) socket.destroy();
    return connections();
  };
  await expect.poll(destroyAll).toBe(0);
  await handshake({ servername: TURN_NAME });
});

test('the end of each direction is passed on by itself, with everything before it', async () => {
  const ended = Promise.withResolvers<{ bytes: number; connection: Socket }>();
  onConnection = (connection) =>
    void buffer(connection).then((all) => ended.resolve({ bytes: all.length, connection }));
  const hello = await helloBytes(SITE);
  const client = await dial();
  client.write(hello);
  client.end(Buffer.alloc(3_000_000));
  const { bytes, connection } = await ended.promise;
  expect(bytes).toBe(PROXY_HEADER_BYTES + hello.length + 3_000_000);
  connection.end(Buffer.alloc(5_000_000));
  expect((await buffer(client)).length).toBe(5_000_000);
  await expect.poll(connections).toBe(0);
});

test('a client that does not read holds the server back, and a connection that stands still is closed', async () => {
  let sent = 0;
  onConnection = (connection) => {
    connection.resume();
    const chunk = Buffer.alloc(64 * 1024);
    const more = () => {
      while (connection.writable && connection.write(chunk)) sent += chunk.length;
      sent += chunk.length;
    };
    connection.on('drain', more);
    more();
  };
  const client = await dial();
  client.write(await helloBytes(SITE));
  await expect.poll(connections).toBe(1);
  // What the buffers of the system take, and no more of it: it stands still.
  let before = -1;
  await expect
    .poll(
      () => {
        const still = before === sent;
        before = sent;
        return still;
      },
      { interval: 300 },
    )
    .toBe(true);
  expect(sent).toBeLessThan(64 * 1024 * 1024);
  clock.advance(1_000);
  clock.advance(600_000);
  await expect.poll(connections).toBe(0);
  expect(await closedFor('idle')).toBe(1);
});

test('without the HTTPS server its clients are turned away, and those of TURN are served', async () => {
  for (const socket of sockets) socket.destroy();
  https.close();
  const client = await dial();
  const over = once(client.resume(), 'close');
  client.write(await helloBytes(SITE));
  client.end();
  await over;
  expect(await closedFor('https-unreachable')).toBe(1);
  await handshake({ servername: TURN_NAME });
});

test('a server that is told to stop closes what it passes on', async () => {
  const client = await dial();
  client.write(await helloBytes(SITE));
  await expect.poll(connections).toBe(1);
  const over = once(client.resume(), 'close');
  client.end();
  await turn.service.close();
  await over;
});

test('a client of the shared port is led to that port of another server', async () => {
  const alternates = [{ address: '198.51.100.7', port: 3478, tlsPort: 5349 }];
  await turn.attach({ domain: TURN_NAME, alternates, generation: 2 });
  const server = { address: PUBLIC_IP, port };
  const client = await turn.client('tls', { server, tls: { servername: TURN_NAME, rejectUnauthorized: false } });
  turn.server.drain();
  const alternate = { address: '198.51.100.7', port };
  await expect(client.allocate()).rejects.toMatchObject({ code: 508, alternate });
});
