import { expect, test } from 'vitest';
import { LossBound } from './loss-bound.ts';

/** Sends 100 packets a second through what loses `lossAt(rate)`, at the bound or at most 2 Mbit/s. @returns the rate */
function run(bound: LossBound, lossAt: (bps: number) => number, fromMs: number, untilMs: number): number {
  let rate = Math.min(2_000_000, bound.bps);
  for (let ms = fromMs; ms < untilMs; ms += 250) {
    const loss = lossAt(rate);
    bound.add(25 * (1 - loss), 25 * loss);
    bound.update(rate, rate * (1 - loss), ms);
    rate = Math.min(2_000_000, bound.bps);
  }
  return rate;
}

test('LossBound comes down to what a policer lets through within two seconds, and rises when it goes', () => {
  const bound = new LossBound();
  const policer = (bps: number) => Math.max(0, 1 - 500_000 / bps);
  expect(run(bound, () => 0, 0, 3_000)).toBe(2_000_000);
  expect(run(bound, policer, 3_000, 5_000)).toBeLessThan(560_000);
  expect(run(bound, policer, 5_000, 20_000)).toBeGreaterThan(400_000);
  expect(run(bound, () => 0, 20_000, 45_000)).toBe(2_000_000);
});

test('LossBound leaves the rate alone at 5 % of loss', () => {
  expect(run(new LossBound(), () => 0.05, 0, 60_000)).toBe(2_000_000);
});

test('LossBound takes loss that does not go away as the path’s own', () => {
  const bound = new LossBound();
  run(bound, () => 0.15, 0, 60_000);
  expect(bound.ownShare).toBeCloseTo(0.15, 1);
  expect(run(bound, () => 0.15, 60_000, 90_000)).toBeGreaterThan(1_000_000);
});

test('LossBound never gets used to the loss of a policer, however long it takes', () => {
  const bound = new LossBound();
  const policer = (bps: number) => Math.max(0, 1 - 500_000 / bps);
  for (let ms = 0; ms < 600_000; ms += 60_000) expect(run(bound, policer, ms, ms + 60_000)).toBeLessThan(620_000);
});
