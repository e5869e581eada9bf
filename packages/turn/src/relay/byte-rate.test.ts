import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BothBudgets, ByteRate } from './byte-rate.ts';

test('a ByteRate never passes more than its burst and its rate, and passes a slow sender whole', () => {
  const packets = fc.array(fc.record({ afterMs: fc.nat(500), bytes: fc.integer({ min: 1, max: 65_535 }) }), {
    minLength: 1,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1_000, max: 10_000_000 }), packets, (bytesPerSec, list) => {
      const rate = new ByteRate(bytesPerSec);
      const burst = Math.max(bytesPerSec, 65_536);
      const startMs = 1_000_000;
      let nowMs = startMs;
      let passed = 0;
      for (const { afterMs, bytes } of list) {
        nowMs += afterMs;
        if (rate.take(bytes, nowMs)) passed += bytes;
        expect(passed).toBeLessThanOrEqual(burst + ((nowMs - startMs) / 1000) * bytesPerSec + 1);
      }
    }),
  );
  const slow = new ByteRate(1_000_000);
  for (let second = 0; second < 20; second++) expect(slow.take(999_999, second * 1000)).toBe(true);
});

test('what a ByteRate refuses takes nothing, and a clock that stands still gives nothing', () => {
  const rate = new ByteRate(100_000);
  expect(rate.take(100_001, 5)).toBe(false);
  expect(rate.take(100_000, 5)).toBe(true);
  expect(rate.take(1, 5)).toBe(false);
  expect(rate.take(1, 4)).toBe(false);
});

test('what either of BothBudgets refuses costs neither of them', () => {
  const [own, shared] = [new ByteRate(100_000), new ByteRate(150_000)];
  const both = new BothBudgets(own, shared);
  expect(both.take(100_001, 1)).toBe(false);
  expect(shared.has(150_000, 1)).toBe(true);
  expect(shared.take(100_000, 1)).toBe(true);
  expect(both.take(60_000, 1)).toBe(false);
  expect(own.has(100_000, 1)).toBe(true);
  expect(both.take(50_000, 1)).toBe(true);
  expect(own.has(50_001, 1)).toBe(false);
  expect(shared.has(1, 1)).toBe(false);
});
