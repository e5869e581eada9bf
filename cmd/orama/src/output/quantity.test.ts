import { expect, test } from 'vitest';
import { bytes, seconds } from './quantity.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [12_345_678, '12.3 MB'],
  [2 ** 53 - 1, '9.0 PB'],
])('bytes(%d) is %s', (count, text) => {
  expect(bytes(count)).toBe(text);
});

test.each([
  [0, '0.00 s'],
  [1_234, '1.23 s'],
  [12_345, '12.3 s'],
  [61_000, '1 min 1 s'],
])('seconds(%d) is %s', (ms, text) => {
  expect(seconds(ms)).toBe(text);
});
