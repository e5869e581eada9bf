import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EventLoopMeter } from './event-loop-meter.ts';

test('EventLoopMeter tells of a loop that stood still, in that window and not in the next', async () => {
  const meter = new EventLoopMeter();
  await delay(20);
  const end = performance.now() + 300;
  while (performance.now() < end);
  await delay(20);
  meter.turn();
  expect(meter.load.delayMaxSec).toBeGreaterThan(0.2);
  expect(meter.load.utilization).toBeGreaterThan(0.5);
  await delay(50);
  expect(meter.load.delayMaxSec).toBeGreaterThan(0.2);
  meter.turn();
  expect(meter.load.delayMaxSec).toBeLessThan(0.2);
  meter.close();
});
