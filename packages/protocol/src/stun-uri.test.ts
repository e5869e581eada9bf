import { expect, test } from 'vitest';
import { stunUriSchema } from './stun-uri.ts';

test.each([
  ['stun:stun.example.org', { relays: false, host: 'stun.example.org', port: 3478, transport: 'udp' }],
  ['stuns:stun.example.org', { relays: false, host: 'stun.example.org', port: 5349, transport: 'tls' }],
  ['turn:turn.example.org', { relays: true, host: 'turn.example.org', port: 3478, transport: 'udp' }],
  ['turn:192.0.2.1:8000?transport=tcp', { relays: true, host: '192.0.2.1', port: 8000, transport: 'tcp' }],
  ['turns:turn.example.org', { relays: true, host: 'turn.example.org', port: 5349, transport: 'tls' }],
  ['TURNS:turn.example.org:443?transport=tcp', { relays: true, host: 'turn.example.org', port: 443, transport: 'tls' }],
  ['turn:[2001:db8::1]:3479', { relays: true, host: '2001:db8::1', port: 3479, transport: 'udp' }],
])('stunUriSchema reads %s', (text, uri) => {
  expect(stunUriSchema.parse(text)).toEqual(uri);
});

test.each([
  ['https://turn.example.org', 'such as turn:'],
  ['turn.example.org', 'such as turn:'],
  ['turn:', 'such as turn:'],
  ['turn:user@host', 'such as turn:'],
  ['turn:host:0', 'port 0'],
  ['turn:host:70000', 'port 70000'],
  ['turn:[2001:zz]', 'such as turn:'],
  ['turn:[1:2]', 'no IPv6 address'],
  ['turn:host?transport=sctp', 'neither udp nor tcp'],
  ['turns:host?transport=udp', 'DTLS'],
  ['stun:host?transport=tcp', 'takes no transport'],
])('stunUriSchema refuses %s and says why', (text, says) => {
  expect(stunUriSchema.safeParse(text).error?.issues[0]?.message).toContain(says);
});
