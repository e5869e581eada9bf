import { expect, test } from 'vitest';
import { SimulatedPath } from '../testing/simulated-path.ts';
import { ReceiveEstimator } from './receive-estimator.ts';

/** A publisher that sends what it is told, at most 4 Mbit/s. @returns what it was told last */
function publish(estimator: ReceiveEstimator, path: SimulatedPath, untilMs: number, stamps = true): number {
  let toldBps = estimator.update(0);
  let lost = 0;
  let sent = 0;
  const arriving: { sendTime: number; arrivalMs: number }[] = [];
  for (let ms = 1, credit = 0; ms < untilMs; ms++) {
    for (credit += Math.min(4_000_000, toldBps) / 8_000; credit >= 1_000; credit -= 1_000) {
      sent++;
      const arrivalMs = path.send(1_000, ms);
      if (arrivalMs === null) lost++;
      else arriving.push({ sendTime: stamps ? Math.round(ms * 262.144) & 0xffffff : -1, arrivalMs });
    }
    while (arriving[0] && arriving[0].arrivalMs <= ms) {
      const { sendTime, arrivalMs } = arriving.shift() as { sendTime: number; arrivalMs: number };
      estimator.record(1_000, sendTime, arrivalMs);
    }
    if (ms % 500 !== 0) continue;
    estimator.learnLoss(lost / Math.max(1, sent));
    lost = sent = 0;
    toldBps = estimator.update(ms);
  }
  return toldBps;
}
const path = (rateBps: number, queueMs = 500) => new SimulatedPath({ rateBps, queueMs, delayMs: 30 });

test('ReceiveEstimator begins with 2.5 Mbit/s and lets a clean path have more, up to 10 Mbit/s', () => {
  expect(new ReceiveEstimator().update(0)).toBe(2_500_000);
  expect(publish(new ReceiveEstimator(), path(20_000_000), 60_000)).toBe(10_000_000);
});

test('ReceiveEstimator keeps a publisher within a narrow path by the delays, over the wrap of the send time', () => {
  const link = path(1_000_000);
  const told = publish(new ReceiveEstimator(), link, 70_000);
  expect(told).toBeGreaterThan(600_000);
  expect(told).toBeLessThan(1_200_000);
});

test('ReceiveEstimator does so by loss where packets carry no send time', () => {
  const told = publish(new ReceiveEstimator(), path(1_000_000, 30), 30_000, false);
  expect(told).toBeGreaterThan(500_000);
  expect(told).toBeLessThan(1_400_000);
});

test('ReceiveEstimator never tells less than 100 kbit/s', () => {
  expect(publish(new ReceiveEstimator(), path(20_000), 30_000)).toBeGreaterThanOrEqual(100_000);
});
