import { expect, test } from 'vitest';
import { SourceLimits } from './source-limits.ts';

test('SourceLimits gives every source its own burst and rate', () => {
  const limits = new SourceLimits({ burst: 2, perSec: 1 });
  expect([limits.take('a', 0), limits.take('a', 0), limits.take('a', 0)]).toEqual([true, true, false]);
  expect(limits.take('b', 0)).toBe(true);
  expect(limits.take('a', 1000)).toBe(true);
});

test('SourceLimits is bounded and forgets sources that are quiet', () => {
  const limits = new SourceLimits({ burst: 2, perSec: 1 }, 100);
  for (let n = 0; n < 1000; n++) expect(limits.take(`source-${n}`, 0)).toBe(true);
  expect(limits.size).toBe(100);
  limits.sweep(60_000);
  expect(limits.size).toBe(0);
});
