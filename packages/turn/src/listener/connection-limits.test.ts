import { expect, test } from 'vitest';
import { ConnectionLimits } from './connection-limits.ts';

test('ConnectionLimits counts in all and per source, and takes back', () => {
  const limits = new ConnectionLimits(3, 2);
  expect(['a', 'a', 'a', 'b', 'c'].map((source) => limits.take(source))).toEqual([true, true, false, true, false]);
  limits.release('a');
  expect(limits.take('a')).toBe(true);
  expect(limits.take('c')).toBe(false);
});

test('ConnectionLimits takes an IPv6 /64 for one source', () => {
  const limits = new ConnectionLimits(10, 1);
  expect(limits.take('2001:db8::1')).toBe(true);
  expect(limits.take('2001:db8::2')).toBe(false);
  expect(limits.take('2001:db8:0:1::1')).toBe(true);
});
