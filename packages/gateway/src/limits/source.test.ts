import { AddressSet } from '@orama/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sourceAddress, sourceKey } from './source.ts';

const proxies = new AddressSet(['127.0.0.1', '10.0.0.1']);

describe('sourceAddress', () => {
  it('believes X-Forwarded-For only when it comes from a trusted proxy', () => {
    expect(sourceAddress('198.51.100.7', '203.0.113.1', proxies)).toBe('198.51.100.7');
    expect(sourceAddress('127.0.0.1', '203.0.113.1', proxies)).toBe('203.0.113.1');
    expect(sourceAddress('::ffff:127.0.0.1', '203.0.113.1', proxies)).toBe('203.0.113.1');
  });

  it('takes the last hop that is not a proxy, so that a client cannot invent its address', () => {
    expect(sourceAddress('127.0.0.1', 'forged, 203.0.113.9, 203.0.113.1, 10.0.0.1', proxies)).toBe('203.0.113.1');
    expect(sourceAddress('127.0.0.1', ['203.0.113.9', '203.0.113.1'], proxies)).toBe('203.0.113.1');
  });

  it('stays with the proxy when the header holds no address', () => {
    expect(sourceAddress('127.0.0.1', undefined, proxies)).toBe('127.0.0.1');
    expect(sourceAddress('127.0.0.1', 'unknown', proxies)).toBe('127.0.0.1');
  });

  it('returns for any header', () => {
    fc.assert(
      fc.property(fc.string(), (header) => typeof sourceKey(sourceAddress('127.0.0.1', header, proxies)) === 'string'),
    );
  });
});

describe('sourceKey', () => {
  it('counts IPv4 by address and IPv6 by /64', () => {
    expect(sourceKey('198.51.100.7')).toBe('198.51.100.7');
    expect(sourceKey('2001:db8:1:2:3::4')).toBe(sourceKey('2001:db8:1:2:ffff::9'));
    expect(sourceKey('2001:db8:1:2::1')).not.toBe(sourceKey('2001:db8:1:3::1'));
  });
});
