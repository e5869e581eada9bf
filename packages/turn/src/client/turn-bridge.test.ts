import { X509Certificate } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { SelfSigner } from '../certificates/self-signed.ts';
import { RELAY_IP, TurnHarness } from '../testing/harness.ts';
import { TurnBridge, turnServersOf } from './turn-bridge.ts';

test('turnServersOf gives the servers of the wanted transport in their order', () => {
  const uris = [
    'turn:127.0.0.1:3478?transport=udp',
    'turn:127.0.0.2:3479?transport=tcp',
    'turn:[2001:db8::1]:3478?transport=udp',
    'stun:127.0.0.2',
    'turns:turn.example.org:443?transport=tcp',
  ];
  const shown = (transport: 'udp' | 'tcp' | 'tls') =>
    turnServersOf(uris, transport).map(({ address, port }) => `${address} ${port}`);
  expect(shown('udp')).toEqual(['127.0.0.1 3478', '2001:db8::1 3478']);
  expect(shown('tcp')).toEqual(['127.0.0.2 3479']);
  expect(shown('tls')).toEqual(['turn.example.org 443']);
  expect(() => turnServersOf(['turns:127.0.0.3:5349'], 'tcp')).toThrow('no TURN URI with transport tcp');
});

const trusted = getCACertificates('default');
let turn: TurnHarness;
beforeAll(async () => {
  turn = await TurnHarness.start({ listen: ['127.0.0.1'] });
});
afterAll(async () => {
  setDefaultCACertificates(trusted);
  await turn.close();
});

test('a bridge over TLS goes to a server that this machine trusts for the name in the URI, and to no other', async () => {
  const uris = [`turns:localhost:${turn.tlsPort}?transport=tcp`];
  const credentials = { ...turn.credentials(), uris, ttl: 600, realm: '' };
  const open = () => TurnBridge.open({ credentials, transport: 'tls', localAddress: '127.0.0.1' });
  await expect(open()).rejects.toThrow(/self-signed/);

  const served = (await turn.client('tls', { server: { address: '127.0.0.1', port: turn.tlsPort } })).tls?.certificate;
  setDefaultCACertificates([...trusted, new X509Certificate(served?.raw ?? '').toString()]);
  await expect(open()).rejects.toThrow(/localhost.*cert's altnames/);

  const { cert, key } = new SelfSigner().sign(['localhost'], Date.now());
  await turn.control('PUT', '/certificates/localhost', { cert, key });
  setDefaultCACertificates([...trusted, cert]);
  const bridge = await open();
  expect(bridge.relayed.address).toBe(RELAY_IP);
  const [sfu, peer] = [await turn.peer(), await turn.peer('127.0.0.1')];
  bridge.redirect(`candidate:1 1 UDP 1 ${sfu.address} ${sfu.port} typ host`);
  peer.send(Buffer.from('there'), bridge.local.port, bridge.local.address);
  const { data, address, port } = await sfu.next();
  expect([data.toString(), address, port]).toEqual(['there', RELAY_IP, bridge.relayed.port]);
  sfu.send(Buffer.from('and back'), port);
  expect((await peer.next()).data.toString()).toBe('and back');
  await bridge.close();
});

test('patience while a bridge opens is none for what it asks later: a server has ten seconds then', async () => {
  const [front, back] = [createSocket('udp4').bind(0, '127.0.0.1'), createSocket('udp4').bind(0, '127.0.0.1')];
  await Promise.all([once(front, 'listening'), once(back, 'listening')]);
  let client = 0;
  const forward = (packet: Buffer, from: { port: number }) => {
    client = from.port;
    back.send(packet, turn.port, '127.0.0.1');
  };
  front.on('message', forward);
  back.on('message', (packet) => front.send(packet, client, '127.0.0.1'));
  const credentials = { ...turn.credentials(), uris: [`turn:127.0.0.1:${front.address().port}`], ttl: 600, realm: '' };
  const { promise: broken, resolve: onBroken } = Promise.withResolvers<unknown>();
  const options = { credentials, transport: 'udp', localAddress: '127.0.0.1', onBroken } as const;
  const bridge = await TurnBridge.open({ ...options, openTimeoutMs: 5_000 });
  front.off('message', forward);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    bridge.redirect('candidate:1 1 UDP 1 127.0.0.9 9 typ host');
    vi.advanceTimersByTime(10_000);
  } finally {
    vi.useRealTimers();
  }
  expect(await broken).toMatchObject({ message: 'no answer within 10000 ms' });
  front.on('message', forward);
  await bridge.close();
  front.close();
  back.close();
});

test('a server that says nothing is waited for only so long', async () => {
  const silent = createSocket('udp4').bind(0, '127.0.0.1');
  await once(silent, 'listening');
  const credentials = { ...turn.credentials(), uris: [`turn:127.0.0.1:${silent.address().port}`], ttl: 600, realm: '' };
  const opening = TurnBridge.open({ credentials, transport: 'udp', localAddress: '127.0.0.1', openTimeoutMs: 20 });
  await expect(opening).rejects.toThrow('no answer within 20 ms');
  silent.close();
});
