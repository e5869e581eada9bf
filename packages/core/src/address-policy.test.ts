import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressSet, sourceKey, specialRangeOf, unmapIpv4 } from './address-policy.ts';

describe('specialRangeOf()', () => {
  it.each([
    ['8.8.8.8', null],
    ['2606:4700::1111', null],
    ['127.0.0.1', 'loopback'],
    ['127.77.0.2', 'loopback'],
    ['::1', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['0:0:0:0:0:ffff:127.0.0.1', 'loopback'],
    ['169.254.169.254', 'metadata'],
    ['::ffff:169.254.169.254', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['10.0.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['fc00::1', 'private'],
    ['100.64.0.1', 'cgnat'],
    ['0.0.0.0', 'this-network'],
    ['::', 'this-network'],
    ['224.0.0.1', 'multicast'],
    ['ff02::1', 'multicast'],
    ['255.255.255.255', 'reserved'],
    ['203.0.113.7', 'documentation'],
    ['2001:db8::1', 'documentation'],
    ['64:ff9b::7f00:1', 'embedded-ipv4'],
    ['2002:7f00:1::', 'embedded-ipv4'],
    ['::7f00:1', 'embedded-ipv4'],
    ['::ffff:0:10.0.0.1', 'unassigned'],
    ['100::1', 'unassigned'],
    ['200:1234::1', 'unassigned'],
    ['5f00::1', 'unassigned'],
    ['localhost', 'malformed'],
    ['', 'malformed'],
  ])('%s is %s', (address, rule) => {
    expect(specialRangeOf(address)).toBe(rule);
  });

  it('judges an IPv4-mapped address, in hex or dotted form, as the IPv4 address inside', () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        const [a = 0, b = 0, c = 0, d = 0] = ip.split('.').map(Number);
        const hex = `::ffff:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
        expect(specialRangeOf(hex)).toBe(specialRangeOf(ip));
        expect(specialRangeOf(`::ffff:${ip}`)).toBe(specialRangeOf(ip));
        expect(unmapIpv4(hex)).toBe(ip);
      }),
    );
  });

  it('returns for any text', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.ipV6()), (text) => void specialRangeOf(text)));
  });
});

describe('AddressSet', () => {
  it('has() knows single addresses and CIDRs of both families', () => {
    const set = new AddressSet(['10.0.0.0/24', '192.0.2.7', 'fd00::/8']);
    expect([set.has('10.0.0.9'), set.has('10.0.1.9'), set.has('192.0.2.7'), set.has('fd12::1'), set.has('x')]).toEqual([
      true,
      false,
      true,
      true,
      false,
    ]);
  });

  it('add() refuses what is no address', () => {
    expect(() => new AddressSet(['10.0.0'])).toThrow('not an IP address');
  });
});

describe('sourceKey', () => {
  it('counts IPv4 by address and IPv6 by /64', () => {
    expect(sourceKey('198.51.100.7')).toBe('198.51.100.7');
    expect(sourceKey('2001:db8:1:2:3::4')).toBe(sourceKey('2001:db8:1:2:ffff::9'));
    expect(sourceKey('::ffff:198.51.100.7')).toBe('198.51.100.7');
    expect(sourceKey('2001:db8:1:2::1')).not.toBe(sourceKey('2001:db8:1:3::1'));
  });
});
