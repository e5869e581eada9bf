import { expect, test } from 'vitest';
import { contains, freeAddress, isWithin, networkOf, networksOverlap } from './address.ts';

test('freeAddress() is the lowest that nobody has, and never that of the network or its broadcast', () => {
  expect(freeAddress('10.0.0.0/24', new Set())).toBe('10.0.0.1');
  expect(freeAddress('10.0.0.77/24', new Set(['10.0.0.1', '10.0.0.2', '10.0.0.4']))).toBe('10.0.0.3');
  expect(freeAddress('10.255.255.252/30', new Set(['10.255.255.253']))).toBe('10.255.255.254');
  const both = new Set(['10.255.255.253', '10.255.255.254']);
  expect(() => freeAddress('10.255.255.252/30', both)).toThrow('every address');
  expect(() => freeAddress('fd00::/64', new Set())).toThrow('is no IPv4 network');
});

test.each([
  ['10.0.0.0/24', '10.0.0.200/32', true],
  ['10.0.0.0/24', '10.0.0.0/8', true],
  ['10.0.0.0/24', '10.0.1.0/24', false],
  ['10.0.0.0/24', 'fe80::1/64', false],
  ['fd00::/64', 'fd00::7/128', true],
])('networksOverlap(%s, %s) is %s', (one, other, is) => {
  expect(networksOverlap(one, other)).toBe(is);
  expect(networksOverlap(other, one)).toBe(is);
});

test('contains() and networkOf() go by the prefix, whatever address stands before it', () => {
  expect(contains('10.0.0.9/24', '10.0.0.1')).toBe(true);
  expect(contains('10.0.0.9/24', '10.0.1.1')).toBe(false);
  expect(networkOf('10.0.3.9/22')).toBe('10.0.0.0/22');
});

test.each([
  ['10.0.0.0/8', true],
  ['10.9.0.7/24', true],
  ['10.0.0.0/7', false],
  ['0.0.0.0/0', false],
  ['11.0.0.0/24', false],
  ['fd00::/64', false],
])('isWithin(%s, 10.0.0.0/8) is %s', (network, is) => {
  expect(isWithin(network, '10.0.0.0/8')).toBe(is);
});
