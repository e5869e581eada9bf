import { expect, test } from 'vitest';
import { hasFallback, iceServersOf, otherPath } from './ice-path.ts';

const credentials = (...uris: string[]) => ({ uris, username: '1:demo', password: 'x', ttl: 600 });
const ALL = ['turn:a:3478?transport=udp', 'turn:b:3478', 'turn:a:3478?transport=tcp', 'turns:a:5349'];

test('iceServersOf gives UDP alone first, and everything afterwards', () => {
  expect(iceServersOf(credentials(...ALL), 'udp')).toEqual([
    { urls: ALL.slice(0, 2), username: '1:demo', credential: 'x' },
  ]);
  expect(iceServersOf(credentials(...ALL), otherPath('udp'))[0]?.urls).toEqual(ALL);
  expect(otherPath(otherPath('udp'))).toBe('udp');
});

test('where nothing is offered over UDP everything is used at once', () => {
  const tcpOnly = credentials('turn:a:3478?transport=tcp', 'turns:a:5349');
  expect(iceServersOf(tcpOnly, 'udp')[0]?.urls).toEqual(tcpOnly.uris);
  expect(iceServersOf(undefined, 'udp')).toEqual([]);
});

test('hasFallback is true only while another transport is left to try', () => {
  expect(hasFallback(credentials(...ALL), 'udp')).toBe(true);
  expect(hasFallback(credentials(...ALL), 'any')).toBe(false);
  expect(hasFallback(credentials('turn:a:3478?transport=udp'), 'udp')).toBe(false);
  expect(hasFallback(credentials('turns:a:5349'), 'udp')).toBe(false);
  expect(hasFallback(undefined, 'udp')).toBe(false);
});
