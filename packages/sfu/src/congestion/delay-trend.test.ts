import { expect, test } from 'vitest';
import { SimulatedPath } from '../testing/simulated-path.ts';
import { DelayTrend, type PathUse } from './delay-trend.ts';

/** Sends 1000-byte packets at a rate through a path and tells what the trend said, packet by packet. */
function watch(trend: DelayTrend, path: SimulatedPath, rateBps: number, fromMs: number, untilMs: number): PathUse[] {
  const uses: PathUse[] = [];
  for (let ms = fromMs; ms < untilMs; ms += 8_000_000 / rateBps) {
    const arrivalMs = path.send(1_000, ms);
    // The receiver's clock is another one.
    if (arrivalMs !== null) trend.add(ms, arrivalMs + 5_000_000);
    uses.push(trend.use);
  }
  return uses;
}

const path = (jitterMs = 0) =>
  new SimulatedPath({ rateBps: 1_000_000, queueMs: 1_000, delayMs: 30, jitterMs, seed: 7 });

test('DelayTrend finds a queue that grows within half a second, and sees it empty', () => {
  const trend = new DelayTrend();
  const link = path();
  expect(new Set(watch(trend, link, 800_000, 0, 3_000))).toEqual(new Set(['normal']));
  expect(watch(trend, link, 1_400_000, 3_000, 3_500)).toContain('over');
  expect(watch(trend, link, 400_000, 3_500, 4_500)).toContain('under');
  expect(watch(trend, link, 800_000, 4_500, 7_500).at(-1)).toBe('normal');
});

test('DelayTrend is not misled by 20 ms of jitter on a path with room', () => {
  const uses = watch(new DelayTrend(), path(20), 600_000, 0, 30_000);
  expect(uses.filter((use) => use === 'over').length).toBeLessThan(uses.length * 0.02);
});

test('DelayTrend begins anew after a pause and takes times in any order', () => {
  const trend = new DelayTrend();
  const link = path();
  watch(trend, link, 1_400_000, 0, 600);
  for (let i = 0; i < 3; i++) trend.add(10_000 + i * 10, 5_010_030 + i * 10);
  expect(trend.use).toBe('normal');
  trend.add(5, 5);
  trend.add(10_100, 1);
  trend.add(10_200, 9e9);
  expect(trend.use).toBe('normal');
});
