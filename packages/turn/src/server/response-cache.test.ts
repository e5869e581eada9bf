import { expect, test } from 'vitest';
import { ResponseCache } from './response-cache.ts';

const id = (n: number) => {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(n);
  return bytes;
};

test('ResponseCache answers a client’s transaction for forty seconds', () => {
  const cache = new ResponseCache();
  cache.keep('a', id(1), Buffer.from('answer'), 0);
  expect(cache.find('a', id(1), 39_999)).toEqual(Buffer.from('answer'));
  expect(cache.find('b', id(1), 0)).toBeUndefined();
  expect(cache.find('a', id(2), 0)).toBeUndefined();
  expect(cache.find('a', id(1), 40_000)).toBeUndefined();
  cache.sweep(40_000);
  expect(cache.size).toBe(0);
});

test('ResponseCache knows a request whose answer is being made, and then its answer', () => {
  const cache = new ResponseCache();
  cache.begin('a', id(1), 0);
  expect(cache.find('a', id(1), 10)).toBe('pending');
  cache.keep('a', id(1), Buffer.from('answer'), 20);
  expect(cache.find('a', id(1), 30)).toEqual(Buffer.from('answer'));
  expect(cache.size).toBe(1);
  // The older of the two ends first, so that a sweep may stop at the first that lives.
  cache.keep('a', id(2), Buffer.from('other'), 10);
  cache.begin('a', id(2), 30);
  cache.sweep(40_020);
  expect(cache.find('a', id(2), 40_021)).toBe('pending');
});

test('ResponseCache is bounded: the oldest answer goes first', () => {
  const cache = new ResponseCache();
  for (let n = 0; n <= 10_000; n++) cache.keep('a', id(n), Buffer.alloc(0), 0);
  expect(cache.size).toBe(10_000);
  expect(cache.find('a', id(0), 0)).toBeUndefined();
  expect(cache.find('a', id(1), 0)).toBeDefined();
});
