import { expect, test } from 'vitest';
import { bytes } from './quantity.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [12_345_678, '12.3 MB'],
  [2 ** 53 - 1, '9.0 PB'],
])('bytes(%d) is %s', (count, text) => {
  expect(bytes(count)).toBe(text);
});
