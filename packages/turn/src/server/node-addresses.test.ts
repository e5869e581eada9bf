import { turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { describe, expect, test } from 'vitest';
import { addressWarnings, checkRelay, checkServerAddresses, interfaceAddresses } from './node-addresses.ts';

const INTERFACES = [
  ...['127.0.0.1', '10.0.0.5', '10.99.0.1', '100.64.0.5', '192.0.2.5', '9.9.9.5'],
  ...['::1', '2a01:4f8::5', 'fd00::5', 'fe80::1'],
];

function checkServer(listen: string[], external: Record<string, string> = {}) {
  const config = {
    node: 'node-1',
    listen,
    external,
    realm: 'r',
    controlSocket: 's',
    internal: { address: '10.0.0.5' },
  };
  return () => checkServerAddresses(turnConfigSchema.parse(config), INTERFACES);
}

const SERVER = {
  listen: ['10.0.0.5', '2a01:4f8:0::5'],
  port: 50_100,
  tls: { port: 50_200 },
  internal: { address: '10.99.0.1', port: 50_300 },
  external: {},
};

function checkTenant(
  relay: Record<string, string | number>,
  allowPublicPeers = false,
  external: Record<string, string> = {},
) {
  const tenant = turnTenantSchema.parse({
    namespace: 'demo',
    secrets: ['0123456789abcdef'],
    relay: { address: '10.0.0.5', portStart: 51_000, portEnd: 51_799, ...relay },
    peers: [],
    allowPublicPeers,
    generation: 1,
  });
  return () => checkRelay(tenant, { ...SERVER, external }, INTERFACES);
}

describe('checkServerAddresses', () => {
  test.each([
    [['10.0.0.5', '2a01:04f8:0::5'], {}],
    [['127.91.1.1', '::1'], {}],
    [['10.0.0.5'], { '10.0.0.5': '9.9.9.9' }],
    [['127.91.1.1'], { '127.91.1.1': '127.91.1.2' }],
  ])('accepts %j with external %j', (listen, external) => {
    expect(checkServer(listen, external)).not.toThrow();
  });

  test.each([
    [['0.0.0.0'], {}, /listen\[0\]: 0\.0\.0\.0 is a this-network address/],
    [['10.0.0.5', '::'], {}, /listen\[1\]: :: is a this-network address/],
    [['224.0.0.1'], {}, /listen\[0\]: 224\.0\.0\.1 is a multicast address/],
    [['fe80::1'], {}, /listen\[0\]: fe80::1 is a link-local address/],
    [['9.9.9.9'], {}, /listen\[0\]: 9\.9\.9\.9 is on no interface of this machine.*external/],
    [['10.0.0.5'], { '10.0.0.6': '9.9.9.9' }, /external\["10\.0\.0\.6"\]: 10\.0\.0\.6 is on no interface/],
    [['10.0.0.5'], { '10.0.0.5': '2a01:4f8::9' }, /not of the same family/],
    [['10.0.0.5'], { '10.0.0.5': '192.168.1.1' }, /192\.168\.1\.1 is a private address that clients cannot reach/],
    [['10.0.0.5'], { '10.0.0.5': '100.64.0.1' }, /cgnat/],
    [['127.91.1.1'], { '127.91.1.1': '0.0.0.0' }, /this-network/],
    [['10.0.0.5'], { '10.0.0.5': '9.9.9.9', '10.99.0.1': '9.9.9.9' }, /public address of 10\.0\.0\.5 already/],
  ])('refuses %j with external %j', (listen, external, message) => {
    expect(checkServer(listen, external as Record<string, string>)).toThrow(message);
  });

  test('names every problem at once', () => {
    expect(checkServer(['0.0.0.0', '9.9.9.9'], { '10.0.0.5': '10.0.0.6' })).toThrow(
      /listen\[0\].*\n.*listen\[1\].*\n.*external/,
    );
  });
});

describe('checkRelay', () => {
  test('accepts addresses of this machine', () => {
    expect(checkTenant({})).not.toThrow();
    expect(checkTenant({ address: '127.91.0.1', address6: '::1', innerAddress: '10.99.0.1' })).not.toThrow();
  });

  const around = (port: number) => ({ portStart: port - 1, portEnd: port });

  test('accepts a block around the server’s own ports on other addresses', () => {
    expect(checkTenant({ address: '127.91.0.1', portStart: 50_000, portEnd: 50_799 })).not.toThrow();
    expect(checkTenant(around(50_300))).not.toThrow();
  });

  test.each([
    [
      around(50_100),
      /relay\.portStart, relay\.portEnd: 50099-50100 holds 50100.*own port on 10\.0\.0\.5.*another block/,
    ],
    [around(50_200), /own tls\.port on 10\.0\.0\.5/],
    [{ address: '127.91.0.1', address6: '2a01:4f8::5', ...around(50_100) }, /own port on 2a01:4f8::5/],
    [{ address: '127.91.0.1', innerAddress: '10.99.0.1', ...around(50_300) }, /own internal\.port on 10\.99\.0\.1/],
  ])('refuses %j, which holds a port of the server itself', (relay, message) => {
    expect(checkTenant(relay)).toThrow(message);
  });

  test.each([
    [{ address: '9.9.9.9' }, /relay\.address: 9\.9\.9\.9 is on no interface/],
    [{ address: '::1' }, /relay\.address: ::1 is IPv6; put it into relay\.address6/],
    [{ address6: '127.0.0.1' }, /relay\.address6: 127\.0\.0\.1 is IPv4/],
    [{ innerAddress: '10.99.0.2' }, /relay\.innerAddress: 10\.99\.0\.2 is on no interface/],
    [{ portEnd: 50_999 }, /relay\.portEnd: must not be below relay\.portStart/],
  ])('refuses %j', (relay, message) => {
    expect(checkTenant(relay as Record<string, string | number>)).toThrow(message);
  });
});

describe('addresses without a mapping that the internet does not reach', () => {
  test.each([
    [{ address: '10.0.0.5' }, /relay\.address: 10\.0\.0\.5 is a private address.* add "10\.0\.0\.5": .* to external/],
    [{ address: '100.64.0.5' }, /relay\.address: 100\.64\.0\.5 is a cgnat address/],
    [
      { address: '192.0.2.5' },
      /relay\.address: 192\.0\.2\.5 is a documentation address.*or leave out allowPublicPeers/,
    ],
    [{ address: '9.9.9.5', address6: 'fd00::5' }, /relay\.address6: fd00::5 is a private address/],
  ])('a tenant with public peers may not relay from %j', (relay, message) => {
    expect(checkTenant(relay, true)).toThrow(message);
    expect(checkTenant(relay)).not.toThrow();
  });

  test('a tenant with public peers may relay from mapped, public and loopback addresses', () => {
    expect(checkTenant({ address: '10.0.0.5' }, true, { '10.0.0.5': '9.9.9.9' })).not.toThrow();
    const both = { address6: '2a01:4f8::5', innerAddress: '10.99.0.1' };
    expect(checkTenant({ address: '9.9.9.5', ...both }, true)).not.toThrow();
    expect(checkTenant({ address: '127.91.0.1', address6: '::1' }, true)).not.toThrow();
  });

  test('a server is warned of those it listens on, and of no other', () => {
    const listen = ['9.9.9.5', '127.91.0.1', '10.0.0.5', '2a01:4f8::5', 'fd00::5', '192.0.2.5'];
    expect(addressWarnings({ listen, external: { '10.0.0.5': '9.9.9.9' } })).toEqual([
      expect.stringMatching(/^listen\[4\]: fd00::5 is a private address .* to external$/),
      expect.stringMatching(/^listen\[5\]: 192\.0\.2\.5 is a documentation address .* to external$/),
    ]);
  });
});

test('interfaceAddresses knows the loopback addresses of this machine', () => {
  expect(interfaceAddresses()).toContain('127.0.0.1');
});
