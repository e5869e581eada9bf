import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canResume, DEFAULT_RECONNECT_POLICY, reconnectDelayMs } from './reconnect-policy.ts';

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('reconnectDelayMs', () => {
  test('the first attempt comes at once, spread a little', () => {
    fc.assert(
      fc.property(
        random,
        (r) => reconnectDelayMs(DEFAULT_RECONNECT_POLICY, 1, r) <= DEFAULT_RECONNECT_POLICY.firstSpreadMs,
      ),
    );
  });

  test('later ones back off: never below half of the doubling delay, never above the ceiling', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 1000 }), random, (attempt, r) => {
        const { baseDelayMs, maxDelayMs } = DEFAULT_RECONNECT_POLICY;
        const full = Math.min(maxDelayMs, baseDelayMs * 2 ** (attempt - 2));
        const delay = reconnectDelayMs(DEFAULT_RECONNECT_POLICY, attempt, r);
        return delay >= full / 2 && delay <= full;
      }),
    );
  });
});

test('canResume() holds as long as the server keeps the media', () => {
  expect(canResume(14_999)).toBe(true);
  expect(canResume(15_000)).toBe(false);
});
