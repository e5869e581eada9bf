import { expect, test } from 'vitest';
import { Quota } from './quota.ts';

test('Quota limits the whole and each username, and forgets what is released', () => {
  const quota = new Quota({ total: 3, perUsername: 2, perSource: 9 });
  const take = (username: string) => quota.take({ username, source: '192.0.2.1' });
  expect([take('a'), take('a'), take('a')]).toEqual([true, true, false]);
  expect([take('b'), take('c')]).toEqual([true, false]);
  quota.release({ username: 'a', source: '192.0.2.1' });
  expect(take('c')).toBe(true);
  expect(quota.total).toBe(3);
});

test('Quota limits each source over all usernames', () => {
  const quota = new Quota({ total: 9, perUsername: 9, perSource: 2 });
  const take = (username: string, source: string) => quota.take({ username, source });
  expect([take('a', '192.0.2.1'), take('b', '192.0.2.1'), take('c', '192.0.2.1')]).toEqual([true, true, false]);
  expect(take('a', '192.0.2.2')).toBe(true);
  quota.release({ username: 'b', source: '192.0.2.1' });
  expect(take('constructor', '192.0.2.1')).toBe(true);
});
