import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EventLoopMeter } from './event-loop-meter.ts';

test('EventLoopMeter tells of a loop that stood still, in that window and not in the next', async () => {
  const meter = new EventLoopMeter(() => 0);
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

test('EventLoopMeter counts what the thread slept elsewhere as idle', async () => {
  let slept = 0;
  const meter = new EventLoopMeter(() => slept);
  const end = performance.now() + 100;
  while (performance.now() < end);
  slept = 100;
  await delay(10);
  meter.turn();
  expect(meter.load.utilization).toBeLessThan(0.5);
  meter.close();
});
