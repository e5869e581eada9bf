import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { announcesPasswordAlgorithms, NONCE_WITH_ALGORITHMS } from '../stun/index.ts';
import { Nonces } from './nonces.ts';

const NOW = 1_700_000_000_000;

test.each([
  [false, 20],
  [true, 33],
])('a nonce is valid for its client until its time is over, and needs no memory (announcing: %s)', (announce, size) => {
  const nonces = new Nonces(600, Buffer.alloc(32, 1));
  const nonce = Buffer.from(nonces.issue('udp 127.81.3.1 40000', NOW, announce));
  expect(nonce).toHaveLength(size);
  const sibling = new Nonces(600, Buffer.alloc(32, 1));
  expect(sibling.judge(nonce, 'udp 127.81.3.1 40000', NOW + 599_000)).toBe('valid');
  expect(sibling.judge(nonce, 'udp 127.81.3.1 40000', NOW + 600_000)).toBe('stale');
  expect(sibling.judge(nonce, 'udp 127.81.3.1 40001', NOW)).toBe('foreign');
  expect(new Nonces(600, randomBytes(32)).judge(nonce, 'udp 127.81.3.1 40000', NOW)).toBe('foreign');
});

test.each([false, true])('a changed, cut or foreign nonce is not valid (announcing: %s)', (announce) => {
  const nonces = new Nonces(600, randomBytes(32));
  const nonce = Buffer.from(nonces.issue('udp 127.81.3.1 40000', NOW, announce));
  for (let i = 0; i < nonce.length; i++) {
    const changed = Buffer.from(nonce);
    changed[i] = changed[i] === 65 ? 66 : 65;
    expect(nonces.judge(changed, 'udp 127.81.3.1 40000', NOW)).toBe('foreign');
  }
  expect(nonces.judge(nonce.subarray(0, -1), 'udp 127.81.3.1 40000', NOW)).toBe('foreign');
  expect(nonces.judge(Buffer.alloc(0), 'udp 127.81.3.1 40000', NOW)).toBe('foreign');
  expect(nonces.judge(Buffer.alloc(20, 0xff), 'udp 127.81.3.1 40000', NOW)).toBe('foreign');
});

test('the announcement of password algorithms can neither be taken off a nonce nor put before one', () => {
  const nonces = new Nonces(600, randomBytes(32));
  const announcing = nonces.issue('udp 127.81.3.1 40000', NOW, true);
  const plain = nonces.issue('udp 127.81.3.1 40000', NOW, false);
  expect(announcing.startsWith(NONCE_WITH_ALGORITHMS)).toBe(true);
  expect(announcesPasswordAlgorithms(Buffer.from(announcing))).toBe(true);
  expect(announcesPasswordAlgorithms(Buffer.from(plain))).toBe(false);
  for (const forged of [announcing.slice(NONCE_WITH_ALGORITHMS.length), NONCE_WITH_ALGORITHMS + plain]) {
    expect(nonces.judge(Buffer.from(forged), 'udp 127.81.3.1 40000', NOW)).toBe('foreign');
  }
});
