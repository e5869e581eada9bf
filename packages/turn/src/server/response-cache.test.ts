import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { CLASS, METHOD, StunMessage, StunWriter } from '../stun/index.ts';
import { ResponseCache, requestKey } from './response-cache.ts';

const client = (port: number, address = '192.0.2.1') => ({ id: `udp ${address} ${port}`, remoteAddress: address });
const answer = Buffer.from('answer');
const me = client(1);
const userOf = (namespace: string, secret = 'first') => ({ tenant: { namespace, maxAllocations: 800 }, secret });
const demo = userOf('demo');
const other = userOf('other');

/** Four minutes of sweeps. */
function sweepAll(): void {
  for (let n = 0; n < 240; n++) cache.sweep(40_000);
  expect(cache.size).toBe(0);
}

let cache: ResponseCache;
beforeEach(() => {
  cache = new ResponseCache(200, 1);
});

test('ResponseCache answers a request for forty seconds', () => {
  cache.keep('one', me, demo, answer, 0);
  expect(cache.find('one', 39_999)).toEqual(answer);
  expect(cache.find('two', 0)).toBeUndefined();
  expect(cache.find('one', 40_000)).toBeUndefined();
  cache.sweep(40_000);
  expect(cache.size).toBe(0);
});

test('ResponseCache forgets the answers of a burst little by little, and gives none of them meanwhile', () => {
  const big = userOf('demo');
  big.tenant.maxAllocations = 6400;
  for (let n = 0; n < 6400; n++)
    cache.keep(`of ${n}`, { ...client(n), remoteAddress: `192.0.2.${n % 100}` }, big, answer, 0);
  cache.sweep(40_000);
  expect(cache.size).toBe(6200);
  expect(cache.find('of 6399', 40_000)).toBeUndefined();
  sweepAll();
});

test('ResponseCache knows a request whose answer is being made, and then its answer', () => {
  cache.keep('one', me, demo, undefined, 0);
  expect(cache.find('one', 10)).toBe('pending');
  cache.keep('one', me, demo, answer, 20);
  expect(cache.find('one', 30)).toEqual(answer);
  expect(cache.size).toBe(1);
  // The older of the two ends first, so that a sweep may stop at the first that lives.
  cache.keep('two', me, demo, answer, 10);
  cache.keep('two', me, demo, undefined, 30);
  cache.sweep(40_020);
  expect(cache.find('two', 40_021)).toBe('pending');
});

test('ResponseCache forgets a namespace’s answers to users of secrets that it does not have any more', () => {
  cache.keep('revoked', me, demo, answer, 0);
  cache.keep('current', me, userOf('demo', 'second'), answer, 0);
  cache.keep('elsewhere', me, other, answer, 0);
  cache.forget('demo', ['second']);
  expect(cache.find('revoked', 0)).toBeUndefined();
  expect(cache.find('current', 0)).toEqual(answer);
  expect(cache.find('elsewhere', 0)).toEqual(answer);
  cache.forget('demo', []);
  expect(cache.size).toBe(1);
});

test('a client that asks thousands of times pushes out its own answers and nobody else’s', () => {
  const neighbour = client(2);
  cache.keep('neighbour', neighbour, demo, undefined, 0);
  for (let n = 0; n < 50_000; n++) cache.keep(`mine ${n}`, me, demo, answer, 0);
  expect(cache.find('neighbour', 0)).toBe('pending');
  expect(cache.find('mine 49984', 0)).toEqual(answer);
  expect(cache.find('mine 49983', 0)).toBeUndefined();
  expect(cache.size).toBe(17);
});

test.each([
  ['IPv4 address', '192.0.2.9', (n: number) => client(n)],
  ['IPv6 /64', '2001:db8:0:1::1', (n: number) => client(1, `2001:db8::${n.toString(16)}`)],
])('an %s with however many clients has ten answers for each allocation it may have', (_what, address, ownClient) => {
  cache.keep('other source', client(1, address), demo, answer, 0);
  cache.keep('other namespace', ownClient(1), other, answer, 0);
  for (let n = 1; n <= 20_000; n++) cache.keep(`mine ${n}`, ownClient(n), demo, answer, 0);
  expect(cache.find('other source', 0)).toEqual(answer);
  expect(cache.find('other namespace', 0)).toEqual(answer);
  expect(cache.find('mine 18500', 0)).toEqual(answer);
  expect(cache.size).toBeLessThanOrEqual(2002);
});

test('a namespace with however many sources leaves the others their answers, and itself its latest', () => {
  cache.keep('other namespace', me, other, answer, 0);
  const source = (n: number) => client(1, `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
  for (let n = 0; n < 20_000; n++) cache.keep(`mine ${n}`, source(n), demo, answer, 0);
  expect(cache.find('other namespace', 0)).toEqual(answer);
  expect(cache.find('mine 13000', 0)).toEqual(answer);
  expect(cache.size).toBeLessThanOrEqual(8001);
  sweepAll();
});

test.each([1, 4])(
  'all namespaces together have a share of 32,768 answers, with %d workers; the largest loses first',
  (workers) => {
    cache = new ResponseCache(200, workers);
    cache.keep('small', me, other, answer, 0);
    let largest = 0;
    for (let n = 0; n < 50_000; n++) {
      const source = client(1, `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
      cache.keep(`of many ${n}`, source, userOf(`many ${n % 40}`), answer, 0);
      largest = Math.max(largest, cache.size);
    }
    expect(largest).toBeLessThanOrEqual(32_768 / workers);
    expect(cache.size).toBeGreaterThan(30_000 / workers);
    expect(cache.find('small', 0)).toEqual(answer);
    expect(cache.find('of many 49999', 0)).toEqual(answer);
  },
);

test('requestKey is the same for the same bytes from the same client only, and there is none without a seal', () => {
  const id = randomBytes(12);
  const key = randomBytes(16);
  const build = (transactionId: Buffer, lifetimeSec: number, seal = true) => {
    const writer = new StunWriter(METHOD.refresh, CLASS.request, transactionId).uint32(0x000d, lifetimeSec);
    const message = StunMessage.parse(seal ? writer.finish({ key }) : writer.finish());
    if (message === undefined) throw new Error('not a message');
    return message;
  };
  const first = requestKey('a', build(id, 600));
  expect(requestKey('a', build(id, 600))).toBe(first);
  for (const another of [requestKey('b', build(id, 600)), requestKey('a', build(randomBytes(12), 600))]) {
    expect(another).not.toBe(first);
  }
  expect(requestKey('a', build(id, 0))).not.toBe(first);
  expect(requestKey('a', build(id, 600, false))).toBeUndefined();
});
