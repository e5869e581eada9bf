import { expect, test } from 'vitest';
import { Nonces } from './nonces.ts';

const NOW = 1_700_000_000_000;

test('a nonce is valid for its client until its time is over, and needs no memory', () => {
  const nonces = new Nonces(600, Buffer.alloc(32, 1));
  const nonce = Buffer.from(nonces.issue('127.81.3.1', NOW));
  expect(nonce).toHaveLength(20);
  const sibling = new Nonces(600, Buffer.alloc(32, 1));
  expect(sibling.isValid(nonce, '127.81.3.1', NOW + 599_000)).toBe(true);
  expect(sibling.isValid(nonce, '127.81.3.1', NOW + 600_000)).toBe(false);
  expect(sibling.isValid(nonce, '127.81.3.2', NOW)).toBe(false);
  expect(new Nonces(600).isValid(nonce, '127.81.3.1', NOW)).toBe(false);
});

test('a changed, cut or foreign nonce is not valid', () => {
  const nonces = new Nonces(600);
  const nonce = Buffer.from(nonces.issue('127.81.3.1', NOW));
  for (let i = 0; i < nonce.length; i++) {
    const changed = Buffer.from(nonce);
    changed[i] = changed[i] === 65 ? 66 : 65;
    expect(nonces.isValid(changed, '127.81.3.1', NOW)).toBe(false);
  }
  expect(nonces.isValid(nonce.subarray(0, 19), '127.81.3.1', NOW)).toBe(false);
  expect(nonces.isValid(Buffer.alloc(0), '127.81.3.1', NOW)).toBe(false);
  expect(nonces.isValid(Buffer.alloc(20, 0xff), '127.81.3.1', NOW)).toBe(false);
});
