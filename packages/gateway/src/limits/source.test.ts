import { AddressSet, sourceKey } from '@orama/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sourceAddress } from './source.ts';

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
