import { METADATA_MAX_BYTES } from '@orama/protocol';
import { describe, expect, it } from 'vitest';
import { RequestVerifier, sfuControlKey, signRequest, signTicket, verifyTicket } from './signed-request.ts';

const key = sfuControlKey('a secret of the tenant');
const other = sfuControlKey('a secret of another tenant');
const NOW = 1_700_000_000_000;
const ticket = {
  ns: 'demo',
  room: 'lobby',
  identity: 'key_1',
  permissions: { publish: true, subscribe: true, data: true, admin: false },
  maxParticipants: 10,
  maxSpeakers: null,
};

describe('RequestVerifier.verify()', () => {
  const sign = (nowMs = NOW) => signRequest(key, 'POST', '/rooms/kick?x=1', '{"a":1}', nowMs);

  it('takes a genuine request once', () => {
    const verifier = new RequestVerifier(key);
    const header = sign();
    expect(verifier.verify(header, 'POST', '/rooms/kick?x=1', '{"a":1}', NOW)).toBeNull();
    expect(verifier.verify(header, 'POST', '/rooms/kick?x=1', '{"a":1}', NOW)).toBe('replay');
  });

  it('refuses a replay up to the moment the request is too old', () => {
    const verifier = new RequestVerifier(key);
    const header = sign(NOW + 60_000);
    expect(verifier.verify(header, 'POST', '/rooms/kick?x=1', '{"a":1}', NOW)).toBeNull();
    expect(verifier.verify(header, 'POST', '/rooms/kick?x=1', '{"a":1}', NOW + 119_000)).toBe('replay');
    expect(verifier.verify(header, 'POST', '/rooms/kick?x=1', '{"a":1}', NOW + 121_000)).toBe('skew');
  });

  it('refuses a request whose method, path, body, key or time is another', () => {
    const verifier = new RequestVerifier(key);
    const check = (method: string, path: string, body: string, now = NOW) =>
      verifier.verify(sign(), method, path, body, now);
    expect(check('DELETE', '/rooms/kick?x=1', '{"a":1}')).toBe('signature');
    expect(check('POST', '/rooms/kick?x=2', '{"a":1}')).toBe('signature');
    expect(check('POST', '/rooms/kick?x=1', '{"a":2}')).toBe('signature');
    expect(check('POST', '/rooms/kick?x=1', '{"a":1}', NOW + 62_000)).toBe('skew');
    expect(new RequestVerifier(other).verify(sign(), 'POST', '/rooms/kick?x=1', '{"a":1}', NOW)).toBe('signature');
    expect(verifier.verify(undefined, 'POST', '/', '', NOW)).toBe('missing');
    expect(verifier.verify('1.2.3', 'POST', '/', '', NOW)).toBe('malformed');
  });
});

describe('verifyTicket()', () => {
  it('gives back what signTicket() signed, for 30 s', () => {
    const text = signTicket(key, ticket, NOW);
    expect(verifyTicket(key, text, NOW + 29_000)).toMatchObject(ticket);
    expect(verifyTicket(key, text, NOW + 30_000)).toBeNull();
  });

  it('has room for the largest metadata beside the longest names', () => {
    const largest = {
      ...ticket,
      ns: 'n'.repeat(32),
      room: 'r'.repeat(128),
      identity: 'i'.repeat(256),
      roomMetadata: { text: 'x'.repeat(METADATA_MAX_BYTES - '{"text":""}'.length) },
      home: {
        node: 'n'.repeat(32),
        address: 'fd00:1111:2222:3333:4444:5555:6666:7777',
        signalingPort: 65_535,
        generation: 2 ** 40,
      },
      link: 'n'.repeat(32),
    };
    expect(verifyTicket(key, signTicket(key, largest, NOW), NOW)).toMatchObject(largest);
  });

  it('refuses forged, cut, foreign and missing tickets', () => {
    const text = signTicket(key, ticket, NOW);
    const forged = `${Buffer.from(JSON.stringify({ ...ticket, room: 'other', exp: 9e9 })).toString('base64url')}.${text.split('.')[1]}`;
    for (const bad of [forged, text.slice(0, -1), `${text}0`, 'x', '.', '', undefined, 'y'.repeat(9000)]) {
      expect(verifyTicket(key, bad, NOW)).toBeNull();
    }
    expect(verifyTicket(other, text, NOW)).toBeNull();
  });
});
