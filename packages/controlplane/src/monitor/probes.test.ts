import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { createServer } from 'node:tls';
import { systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { createMetrics } from '@orama/core/metrics';
import { CertificateAuthority } from '@orama/testkit';
import { afterEach, expect, test } from 'vitest';
import { DnsServer } from '../dns/embedded/dns-server.ts';
import { buildZone } from '../dns/embedded/zone.ts';
import { probeCertificate, probeDns, probeReady, probeSfu, probeStun } from './probes.ts';

const ADDRESS = '127.84.30.1';
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A server on a port of its own; it is closed after the test. */
async function listening<
  T extends { listen(port: number, host: string): unknown; close(): unknown; address(): unknown },
>(server: T): Promise<number> {
  server.listen(0, ADDRESS);
  await once(server as never, 'listening');
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** An HTTP service that answers every path alike. */
const serving = (status: number, body: string) =>
  listening(createHttpServer((_request, response) => response.writeHead(status).end(body)));

test('probeReady() says nothing of a service that is ready, and otherwise why it is not', async () => {
  const at = async (status: number, body: string) =>
    probeReady({ address: ADDRESS, port: await serving(status, body) });
  expect(await at(200, '{"status":"ready"}')).toBeNull();
  expect(await at(503, '{"status":"not ready","reason":"the store does not answer"}')).toBe(
    'the store does not answer',
  );
  expect(await at(500, 'not json')).toMatch(/does not answer/);
  expect(await probeReady({ address: ADDRESS, port: 1 })).toMatch(/ECONNREFUSED/);
});

test('probeSfu() takes no other SFU for the one that is meant', async () => {
  const health = { status: 'ok', namespace: 'demo', node: 'node-1', rooms: 2, peers: 7, generation: 1 };
  const internal = { address: ADDRESS, port: await serving(200, JSON.stringify(health)) };
  expect(await probeSfu(internal, { namespace: 'demo', node: 'node-1' })).toMatchObject({ rooms: 2, peers: 7 });
  await expect(probeSfu(internal, { namespace: 'other', node: 'node-1' })).rejects.toThrow(/SFU of demo on node-1/);
});

test('probeStun() wants the answer to its own request', async () => {
  const socket = createSocket('udp4');
  closers.push(() => socket.close());
  socket.bind(0, ADDRESS);
  await once(socket, 'listening');
  const { port } = socket.address();
  let spoil = false;
  socket.on('message', (request, from) => {
    const answer = Buffer.from(request);
    answer.writeUInt16BE(0x0101, 0);
    if (spoil) answer.writeUInt8(answer.readUInt8(19) ^ 1, 19);
    socket.send(answer, from.port, from.address);
  });
  expect(await probeStun(ADDRESS, port)).toBeNull();
  spoil = true;
  expect(await probeStun(ADDRESS, port)).toBe(`no answer over UDP at ${ADDRESS}:${port}`);
});

test('probeCertificate() tells whose certificate a name is shown, and for how long it holds', async () => {
  const authority = new CertificateAuthority();
  closers.push(() => authority.close());
  const server = createServer(authority.issue('turn.ns-demo.example.org'));
  server.on('tlsClientError', () => {});
  const at = { address: ADDRESS, port: await listening(server) };
  const now = Date.now();
  expect(await probeCertificate(at, 'turn.ns-demo.example.org', now)).toMatchObject({
    ...{ issuer: 'Orama test authority', self_signed: false, name_matches: true, days: 1 },
  });
  const late = await probeCertificate(at, 'turn.ns-other.example.org', now + 5 * 86_400_000);
  expect(late).toMatchObject({ name_matches: false, days: -4 });
});

test('probeCertificate() gives up on who accepts and says nothing, and on who closes', async () => {
  const silent = {
    address: ADDRESS,
    port: await listening(createTcpServer((socket) => closers.push(() => socket.destroy()))),
  };
  await expect(probeCertificate(silent, 'example.org', 0)).rejects.toThrow(/no TLS handshake/);
  const closing = { address: ADDRESS, port: await listening(createTcpServer((socket) => socket.destroy())) };
  await expect(probeCertificate(closing, 'example.org', 0)).rejects.toThrow();
});

test('probeDns() asks the server that it is given: addresses, none for what is not there, and an error for silence', async () => {
  const server = new DnsServer({
    listen: [{ address: ADDRESS, port: 5300 }],
    clock: systemClock,
    logger: silentLogger,
    metrics: createMetrics('test'),
  });
  await server.start();
  closers.push(() => server.stop());
  const record = (type: 'A' | 'AAAA', value: string) => ({ fqdn: 'turn.ns-demo.orama.test', type, value, ttlSec: 60 });
  server.serve(
    buildZone({
      ...{ baseDomain: 'orama.test', serial: 1, contact: 'hostmaster.orama.test' },
      nameservers: [{ name: 'node-1.dns.orama.test', addresses: [ADDRESS] }],
      records: [record('A', '192.0.2.2'), record('A', '192.0.2.1'), record('AAAA', '2001:db8::1')],
    }),
  );
  const asked = `${ADDRESS}:5300`;
  expect(await probeDns(asked, 'turn.ns-demo.orama.test')).toEqual(['192.0.2.1', '192.0.2.2', '2001:db8::1']);
  expect(await probeDns(asked, 'turn.ns-nobody.orama.test')).toEqual([]);
  await expect(probeDns(asked, 'example.org')).rejects.toThrow(/REFUSED/);
  await expect(probeDns(`${ADDRESS}:5301`, 'turn.ns-demo.orama.test')).rejects.toThrow();
});
