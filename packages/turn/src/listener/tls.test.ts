import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import { VirtualClock } from '@orama/core';
import { turnCertificateStatusSchema } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SelfSigner } from '../certificates/self-signed.ts';
import { CLIENT_IP, PUBLIC_IP, REALM, TurnHarness } from '../testing/harness.ts';

const NAME = 'turn.ns-demo.orama.localhost';

let turn: TurnHarness;
let clock: VirtualClock;
const sockets: Socket[] = [];
beforeEach(async () => {
  clock = new VirtualClock(Date.now());
  turn = await TurnHarness.start({ maxTcpConnections: 6, maxTcpConnectionsPerSource: 4 }, clock);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await turn.close();
});

const target = (localAddress = CLIENT_IP) => ({ host: PUBLIC_IP, port: turn.tlsPort, localAddress });

async function dial(localAddress?: string): Promise<Socket> {
  const socket = connectTcp(target(localAddress));
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Rejects with the alert when the handshake is refused. */
async function handshake(options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({ ...target(), rejectUnauthorized: false, ...options });
  sockets.push(socket);
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  return socket;
}

async function served(options: ConnectionOptions = {}): Promise<PeerCertificate> {
  const socket = await handshake(options);
  const certificate = socket.getPeerCertificate();
  socket.destroy();
  await once(socket, 'close');
  return certificate;
}

function pairFor(name: string, nowMs = clock.now()) {
  return new SelfSigner().sign([name], nowMs);
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
const closedFor = (reason: string) => metric(`turn_stream_closed_total{reason="${reason}"`);
const connections = () => metric('turn_stream_connections');

describe('the handshake', () => {
  test.each([['TLSv1.2'], ['TLSv1.3']] as const)('%s is spoken, with forward secrecy', async (version) => {
    const socket = await handshake({ minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
    expect(socket.getCipher().standardName).toMatch(/^TLS_(ECDHE_.*_)?AES_128_GCM_SHA256$/);
  });

  test.each([
    ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }, /protocol version/],
    ['CBC alone', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }, /handshake failure/],
    ['another protocol alone', { ALPNProtocols: ['http/1.1'] }, /no application protocol/],
  ] as const)('%s is refused with the alert for it', async (_what, options, alert) => {
    await expect(handshake(options as ConnectionOptions)).rejects.toThrow(alert);
    await expect.poll(() => closedFor('handshake-failed')).toBe(1);
    expect(await connections()).toBe(0);
  });

  test.each([
    [['stun.turn'], 'stun.turn'],
    [['http/1.1', 'stun.nat-discovery'], 'stun.nat-discovery'],
    [undefined, false],
  ])('a client that offers %j speaks %j', async (ALPNProtocols, protocol) => {
    const socket = await handshake(ALPNProtocols === undefined ? {} : { ALPNProtocols });
    expect(socket.alpnProtocol).toBe(protocol);
  });

  test('there is no renegotiation and no session to take up again', async () => {
    const socket = await handshake({ maxVersion: 'TLSv1.2' });
    expect(socket.getTLSTicket()).toBeUndefined();
    const refused = once(socket, 'error');
    socket.renegotiate({}, () => undefined);
    expect(String(await refused)).toMatch(/no renegotiation/);

    const first = await handshake({ maxVersion: 'TLSv1.2' });
    const session = first.getSession();
    const second = await handshake({ maxVersion: 'TLSv1.2', ...(session === undefined ? {} : { session }) });
    expect(second.isSessionReused()).toBe(false);
  });

  test('one that does not end counts as a connection and is closed after ten seconds', async () => {
    const silent = await dial();
    const slow = await dial();
    await expect.poll(connections).toBe(2);
    const closed = Promise.all([once(silent, 'close'), once(slow, 'close')]);
    const hello = [0x16, 0x03, 0x01, 0x01, 0x00, 0x01, 0x00, 0x00, 0xfc];
    for (const byte of hello) {
      slow.write(Buffer.from([byte]));
      clock.advance(1_000);
    }
    expect(await connections()).toBe(2);
    clock.advance(2_000);
    await closed;
    expect(await closedFor('handshake-timeout')).toBe(2);
    expect(await closedFor('handshake-failed')).toBe(0);
    expect(await connections()).toBe(0);
  });

  test('a source has its share of connections that have not said a word, and the server its limit', async () => {
    for (let n = 0; n < 4; n++) await dial();
    await once(await dial(), 'close');
    await dial('127.81.3.2');
    await dial('127.81.3.2');
    await once(await dial('127.81.3.3'), 'close');
    expect(await closedFor('too-many')).toBe(2);
    expect(await connections()).toBe(6);
  });

  test('handshakes of one source are limited like its unauthenticated requests', async () => {
    await turn.close();
    turn = await TurnHarness.start({ unauthenticatedRate: { burst: 2, perSec: 1 } }, clock);
    await handshake();
    await handshake();
    await expect(handshake()).rejects.toThrow();
    expect(await closedFor('rate-limited')).toBe(1);
    clock.advance(1_000);
    await handshake();
  });

  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a STUN request', Buffer.from('000100002112a442000102030405060708090a0b', 'hex')],
    ['a record of the largest size that never was', Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, 0x01])],
    ['noise', Buffer.alloc(5_000, 0xa5)],
  ])('%s in its place closes the connection', async (_what, bytes) => {
    const socket = await dial();
    const closed = once(socket, 'close');
    socket.resume();
    socket.write(bytes);
    await closed;
    expect(await closedFor('handshake-failed')).toBe(1);
  });

  test('a client that resets in the middle of it, or of the first frame, leaves nothing', async () => {
    const early = await dial();
    early.write(Buffer.from([0x16, 0x03, 0x01]));
    await expect.poll(connections).toBe(1);
    early.resetAndDestroy();
    await expect.poll(connections).toBe(0);
    const late = await dial();
    const secure = connectTls({ socket: late, rejectUnauthorized: false });
    secure.on('error', () => undefined);
    await once(secure, 'secureConnect');
    secure.write(Buffer.from([0x40]));
    late.resetAndDestroy();
    await expect.poll(connections).toBe(0);
  });
});

test('with tls: false nothing listens, and a certificate is refused with what to do', async () => {
  await turn.close();
  turn = await TurnHarness.start({ tls: false }, clock);
  await expect(handshake()).rejects.toThrow('ECONNREFUSED');
  expect(await turn.control('PUT', `/certificates/${NAME}`, pairFor(NAME))).toMatchObject({
    status: 409,
    body: { error: { code: 'CONFLICT', hint: expect.stringContaining('tls') } },
  });
});

describe('certificates', () => {
  test('without any it makes one for its addresses and its realm', async () => {
    const { subjectaltname } = await served();
    expect(subjectaltname).toBe(`IP Address:${PUBLIC_IP}, DNS:${REALM}`);
  });

  test('a tenant with a domain gets one of its own, which goes with it', async () => {
    await turn.attach({ domain: NAME });
    clock.advance(2_000);
    await expect
      .poll(async () => (await served({ servername: NAME })).subjectaltname)
      .toBe(`DNS:${NAME}, IP Address:${PUBLIC_IP}, DNS:${REALM}`);
    expect((await served()).subjectaltname).not.toContain(NAME);
    await turn.service.tenants.detach('demo');
    clock.advance(2_000);
    await expect.poll(async () => (await served({ servername: NAME })).subjectaltname).not.toContain(NAME);
  });

  test('PUT /certificates/<name> swaps without dropping a connection, and DELETE goes back', async () => {
    const first = pairFor(NAME);
    expect((await turn.control('PUT', `/certificates/${NAME}`, first)).status).toBe(200);
    const client = await turn.client('tls', { tls: { ca: first.cert, servername: NAME } });
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    await client.channelBind(0x4000, peer.address, peer.port);
    let lost = false;
    void client.disconnected.then(() => {
      lost = true;
    });

    const exchange = async (text: string) => {
      client.channelData(0x4000, Buffer.from(text));
      expect((await peer.next()).data.toString()).toBe(text);
      const answer = client.nextData();
      peer.send(Buffer.from(text), relayed.port);
      expect((await answer).data.toString()).toBe(text);
    };
    await exchange('before');
    const second = pairFor(NAME);
    const reply = await turn.control('PUT', `/certificates/${NAME.toUpperCase()}`, second);
    expect(turnCertificateStatusSchema.parse(reply.body)).toMatchObject({ name: NAME, selfSigned: true });
    await exchange('after');
    await turn.client('tls', { tls: { ca: second.cert, servername: NAME } });
    await expect(turn.client('tls', { tls: { ca: first.cert, servername: NAME } })).rejects.toThrow(/self-signed/);
    // Other names have what they had.
    expect((await served({ servername: 'elsewhere.example.com' })).subjectaltname).not.toContain(NAME);

    expect((await turn.control('DELETE', `/certificates/${NAME}`)).status).toBe(204);
    expect((await served({ servername: NAME })).subjectaltname).not.toContain(NAME);
    expect((await turn.control('DELETE', `/certificates/${NAME}`)).status).toBe(404);
    await exchange('to the end');
    expect(lost).toBe(false);
  });

  test('a wildcard certificate serves every host of its level', async () => {
    const name = '*.orama.localhost';
    await turn.control('PUT', `/certificates/${name}`, pairFor(name));
    expect((await served({ servername: 'a.orama.localhost' })).subjectaltname).toBe(`DNS:${name}`);
    expect((await served({ servername: 'b.a.orama.localhost' })).subjectaltname).not.toBe(`DNS:${name}`);
  });

  test.each([
    ['not a host name', '..', () => pairFor(NAME), 400, 'is not a host name'],
    ['another name', NAME, () => pairFor('turn.ns-other.orama.localhost'), 400, `not for ${NAME}`],
    ['no key', NAME, () => ({ cert: pairFor(NAME).cert }), 400, 'key'],
    ['not JSON', NAME, () => 'nonsense', 400, 'not JSON'],
  ])('PUT with %s is refused and keeps what was there', async (_what, name, body, status, message) => {
    const good = pairFor(NAME);
    await turn.control('PUT', `/certificates/${NAME}`, good);
    expect(await turn.control('PUT', `/certificates/${name}`, body())).toMatchObject({
      status,
      body: { error: { code: 'INVALID_REQUEST', message: expect.stringContaining(message) } },
    });
    await turn.client('tls', { tls: { ca: good.cert, servername: NAME } });
  });

  test('files are read at start and again when they change; a broken pair keeps the old one', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'turn-certificates-'));
    const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
    const write = (pair: { cert: string; key: string }) => {
      writeFileSync(`${certFile}.new`, pair.cert);
      writeFileSync(`${keyFile}.new`, pair.key);
      renameSync(`${certFile}.new`, certFile);
      renameSync(`${keyFile}.new`, keyFile);
    };
    const of = async () => (await served()).subjectaltname;
    write(pairFor('first.example.com'));
    await turn.close();
    turn = await TurnHarness.start({ tls: { certFile, keyFile } }, clock);

    expect(await of()).toBe('DNS:first.example.com');
    write(pairFor('second.example.com'));
    clock.advance(2_000);
    await expect.poll(of).toBe('DNS:second.example.com');

    const third = pairFor('third.example.com');
    writeFileSync(certFile, third.cert);
    clock.advance(2_000);
    expect(await of()).toBe('DNS:second.example.com');
    rmSync(keyFile);
    clock.advance(2_000);
    expect(await of()).toBe('DNS:second.example.com');
    writeFileSync(keyFile, third.key);
    clock.advance(2_000);
    await expect.poll(of).toBe('DNS:third.example.com');
    // It is for every name, tenants' too.
    await turn.attach({ domain: NAME });
    clock.advance(2_000);
    expect((await served({ servername: NAME })).subjectaltname).toBe('DNS:third.example.com');
    rmSync(dir, { recursive: true });
  });

  test('files that cannot be used at start leave the server with a certificate of its own', async () => {
    await turn.close();
    turn = await TurnHarness.start({ tls: { certFile: '/nowhere/cert.pem', keyFile: '/nowhere/key.pem' } }, clock);
    expect((await served()).subjectaltname).toContain(REALM);
  });
});
