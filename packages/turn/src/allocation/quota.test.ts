import { expect, test } from 'vitest';
import { Quota } from './quota.ts';

test('Quota limits the whole and each username, and forgets what is released', () => {
  const quota = new Quota(3, 2);
  expect([quota.take('a'), quota.take('a'), quota.take('a')]).toEqual([true, true, false]);
  expect([quota.take('b'), quota.take('c')]).toEqual([true, false]);
  quota.release('a');
  expect(quota.take('c')).toBe(true);
  expect(quota.total).toBe(3);
});

test('Quota ignores the release of a username it does not know', () => {
  const quota = new Quota(1, 1);
  quota.release('constructor');
  expect(quota.total).toBe(0);
});
