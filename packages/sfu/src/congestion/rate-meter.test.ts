import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RateMeter } from './rate-meter.ts';

test('RateMeter measures what came within its window', () => {
  const meter = new RateMeter(500);
  for (let ms = 0; ms < 2_000; ms += 10) meter.add(125, ms);
  expect(meter.bitrateBps(1_999)).toBeCloseTo(100_000, -3);
  expect(meter.bitrateBps(2_249)).toBeCloseTo(50_000, -3);
  expect(meter.bitrateBps(3_000)).toBe(0);
});

test('RateMeter says nothing before it has seen a third of a window', () => {
  const meter = new RateMeter(500);
  expect(meter.bitrateBps(0)).toBeNull();
  meter.add(1_000, 0);
  expect(meter.bitrateBps(100)).toBeNull();
  expect(meter.bitrateBps(199)).toBeCloseTo(40_000, -3);
});

test('RateMeter is never negative and forgets everything, whatever the times', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1_500), fc.integer({ min: -300, max: 900 })), { maxLength: 200 }), (steps) => {
      const meter = new RateMeter(500);
      let timeMs = 10_000;
      for (const [bytes, stepMs] of steps) {
        timeMs += stepMs;
        meter.add(bytes, Math.max(0, timeMs));
        expect(meter.bitrateBps(meter.newestMs) ?? 0).toBeGreaterThanOrEqual(0);
      }
      expect(meter.bitrateBps(meter.newestMs + 1_000_000) ?? 0).toBe(0);
    }),
  );
});
