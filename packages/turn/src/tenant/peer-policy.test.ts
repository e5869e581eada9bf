import { AddressSet } from '@orama/core';
import { turnTenantSchema } from '@orama/protocol';
import { describe, expect, test } from 'vitest';
import { BoundPorts } from '../relay/bound-ports.ts';
import { PeerPolicy } from './peer-policy.ts';

const own = new AddressSet(['127.81.1.1', '8.8.4.4', '2606:4700::1']);

function policy(allowPublicPeers: boolean) {
  const tenant = turnTenantSchema.parse({
    namespace: 'demo',
    secrets: ['0123456789abcdef'],
    relay: { address: '127.81.0.1', address6: 'fd00::1', portStart: 50_000, portEnd: 50_799 },
    peers: [
      { ip: '127.81.0.2', portStart: 20_000, portEnd: 20_499 },
      { ip: '127.81.0.2', portStart: 21_000, portEnd: 21_000 },
      { ip: '127.81.0.1', portStart: 20_500, portEnd: 20_999 },
      { ip: 'FD00:0:0::5', portStart: 20_000, portEnd: 20_499 },
    ],
    allowPublicPeers,
    generation: 1,
  });
  return new PeerPolicy(tenant, own);
}

const REFUSED: [string, string][] = [
  ['127.0.0.1', 'loopback'],
  ['127.81.0.3', 'loopback'],
  ['::1', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:7f00:1', 'loopback'],
  ['169.254.169.254', 'metadata'],
  ['::ffff:169.254.169.254', 'metadata'],
  ['169.254.1.1', 'link-local'],
  ['fe80::1', 'link-local'],
  ['10.0.0.3', 'private'],
  ['172.16.0.1', 'private'],
  ['192.168.1.1', 'private'],
  ['fd00::6', 'private'],
  ['100.64.0.1', 'cgnat'],
  ['192.0.2.1', 'documentation'],
  ['2001:db8::1', 'documentation'],
  ['224.0.0.1', 'multicast'],
  ['ff02::1', 'multicast'],
  ['255.255.255.255', 'reserved'],
  ['0.0.0.0', 'this-network'],
  ['64:ff9b::7f00:1', 'embedded-ipv4'],
  ['2002:7f00:1::', 'embedded-ipv4'],
  ['200:1234::1', 'unassigned'],
  ['127.81.1.1', 'own-address'],
  ['8.8.4.4', 'own-address'],
  ['::ffff:8.8.4.4', 'own-address'],
  ['2606:4700::1', 'own-address'],
];

describe.each([false, true])('PeerPolicy with public peers %s', (allowPublicPeers) => {
  test.each(REFUSED)('refuses %s by the rule %s', (address, rule) => {
    expect(policy(allowPublicPeers).judge(address)).toEqual({ allowed: false, rule });
    expect(policy(allowPublicPeers).judgeEndpoint(address, 20_000)).toEqual({ allowed: false, rule });
  });

  test('allows the SFUs of the namespace, on their ports only, also on this very node', () => {
    const judged = policy(allowPublicPeers);
    expect(judged.judge('127.81.0.2')).toMatchObject({ allowed: true, rule: 'peers' });
    for (const port of [20_000, 20_499, 21_000]) expect(judged.judgeEndpoint('127.81.0.2', port).allowed).toBe(true);
    for (const port of [0, 19_999, 20_500, 30_000]) {
      expect(judged.judgeEndpoint('127.81.0.2', port)).toEqual({ allowed: false, rule: 'peer-port' });
    }
    expect(judged.judgeEndpoint('127.81.0.1', 20_500).allowed).toBe(true);
    expect(judged.judgeEndpoint('127.81.0.1', 3478)).toEqual({ allowed: false, rule: 'peer-port' });
    expect(judged.judgeEndpoint('fd00::5', 20_000).allowed).toBe(true);
    expect(judged.judge('::ffff:127.81.0.2')).toMatchObject({ allowed: true, host: { address: '127.81.0.2' } });
  });

  test('allows public unicast only where the tenant does', () => {
    const expected = allowPublicPeers ? { allowed: true, rule: 'public' } : { allowed: false, rule: 'not-a-peer' };
    for (const address of ['1.1.1.1', '2606:4700:4700::1111']) {
      expect(policy(allowPublicPeers).judge(address)).toMatchObject(expected);
    }
  });
});

test('with public peers two clients of one server meet in the tenant’s own relay block, and only there', () => {
  const tenant = turnTenantSchema.parse({
    namespace: 'mesh',
    secrets: ['0123456789abcdef'],
    relay: { address: '8.8.4.4', portStart: 50_000, portEnd: 50_799 },
    peers: [],
    allowPublicPeers: true,
    generation: 1,
  });
  const bound = new BoundPorts();
  const judged = new PeerPolicy(tenant, own, {}, bound);
  expect(judged.judgeEndpoint('8.8.4.4', 50_799)).toEqual({ allowed: false, rule: 'unbound-relay-port' });
  bound.at('8.8.4.4').add(50_799);
  expect(judged.judgeEndpoint('8.8.4.4', 50_799)).toMatchObject({ allowed: true, rule: 'own-relay-block' });
  expect(judged.judgeEndpoint('8.8.4.4', 50_800)).toEqual({ allowed: false, rule: 'peer-port' });
  expect(new PeerPolicy({ ...tenant, allowPublicPeers: false }, own).judge('8.8.4.4')).toEqual({
    allowed: false,
    rule: 'own-address',
  });
});

test('what looks like an address and is none is refused', () => {
  expect(policy(true).judge('localhost')).toEqual({ allowed: false, rule: 'malformed' });
});

const self = [
  { family: 4 as const, address: '127.81.0.1', port: 50_001 },
  { family: 6 as const, address: 'fd00::1', port: 50_001 },
];

test.each([false, true])('an allocation reaches its own relayed address and port (public peers: %s)', (mesh) => {
  const judged = policy(mesh);
  expect(judged.judgeEndpoint('127.81.0.1', 50_001, self)).toMatchObject({ allowed: true, rule: 'self' });
  expect(judged.judgeEndpoint('fd00:0::1', 50_001, self)).toMatchObject({
    allowed: true,
    rule: 'self',
    host: { source: 'fd00::1' },
  });
  expect(judged.judgeEndpoint('127.81.0.1', 3478, self)).toEqual({ allowed: false, rule: 'peer-port' });
  // The SFU beside it stays within reach, on its ports.
  expect(judged.judgeEndpoint('127.81.0.1', 20_500, self)).toMatchObject({ allowed: true, rule: 'peers' });
  expect(judged.judge('127.81.0.1', self)).toMatchObject({
    host: {
      ports: expect.arrayContaining([
        { start: 20_500, end: 20_999 },
        { start: 50_001, end: 50_001 },
      ]),
    },
  });
});

test('the namespace’s own peers are reached from the inner address, everybody else from the public one', () => {
  const tenant = turnTenantSchema.parse({
    namespace: 'mesh',
    secrets: ['0123456789abcdef'],
    relay: { address: '8.8.4.4', innerAddress: '10.0.0.1', portStart: 50_000, portEnd: 50_799 },
    peers: [{ ip: '10.0.0.2', portStart: 20_000, portEnd: 20_499 }],
    allowPublicPeers: true,
    generation: 1,
  });
  const judged = new PeerPolicy(tenant, own);
  expect(judged.judge('10.0.0.2')).toMatchObject({ allowed: true, host: { source: '10.0.0.1' } });
  expect(judged.judge('1.1.1.1')).toMatchObject({ allowed: true, host: { source: '8.8.4.4' } });
  expect(judged.judge('10.0.0.1')).toEqual({ allowed: false, rule: 'own-address' });
  expect(judged.judge('2606:4700:4700::1111')).toEqual({ allowed: false, rule: 'no-relay-address' });
});

test('behind 1:1 NAT clients meet at the external address; the local one is the node’s own', () => {
  const tenant = turnTenantSchema.parse({
    namespace: 'mesh',
    secrets: ['0123456789abcdef'],
    relay: { address: '10.0.0.1', portStart: 50_000, portEnd: 50_799 },
    peers: [],
    allowPublicPeers: true,
    generation: 1,
  });
  const bound = new BoundPorts();
  bound.at('10.0.0.1').add(50_799);
  const judged = new PeerPolicy(tenant, own, { '10.0.0.1': '9.9.9.9' }, bound);
  expect(judged.judgeEndpoint('9.9.9.9', 50_799)).toMatchObject({
    allowed: true,
    rule: 'own-relay-block',
    host: { address: '9.9.9.9', source: '10.0.0.1', reach: '10.0.0.1' },
  });
  expect(judged.judge('10.0.0.1')).toEqual({ allowed: false, rule: 'own-address' });
});
