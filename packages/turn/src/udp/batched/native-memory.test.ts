import { expect, test } from 'vitest';
import { NativeMemory } from './native-memory.ts';

/** Addresses that V8 keeps as small numbers; only x86-64 has memory there for the asking. */
const ADDRESS_LIMIT = process.arch === 'x64' ? 2 ** 31 : Number.MAX_SAFE_INTEGER;

test('memory is zeroed, and low', () => {
  const memory = new NativeMemory(100_000);
  const bytes = new Uint8Array(memory.buffer);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  memory.view.setUint8(99_999, 7);
  expect(bytes[99_999]).toBe(7);
  expect(memory.address).toBeLessThan(ADDRESS_LIMIT);
});

test('what cannot be had is said with its size', () => {
  expect(() => new NativeMemory(2 ** 46)).toThrow(`no ${2 ** 46} bytes`);
});
