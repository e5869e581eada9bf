import { createHistogram, type EventLoopUtilization } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EventLoopMeter } from './event-loop-meter.ts';

const ms = (count: number) => count * 1e6;

/** An event loop that does what it is told to have done. */
function toldLoop() {
  const total = { active: 0, idle: 0, utilization: 0 };
  const delay = Object.assign(createHistogram(), { enable: () => true, disable: () => true });
  const utilization = (since: EventLoopUtilization = { active: 0, idle: 0, utilization: 0 }) => ({
    active: total.active - since.active,
    idle: total.idle - since.idle,
    utilization: 0,
  });
  return { total, gauges: { delay, utilization } };
}

test('EventLoopMeter tells of a window until the next one ends', () => {
  const { total, gauges } = toldLoop();
  const meter = new EventLoopMeter(undefined, gauges);
  gauges.delay.record(ms(10));
  gauges.delay.record(ms(310));
  total.active += 300;
  total.idle += 100;
  meter.turn();
  expect(meter.load.delayMaxSec).toBeCloseTo(0.3, 2);
  expect(meter.load.utilization).toBe(0.75);

  gauges.delay.record(ms(10));
  total.idle += 400;
  expect(meter.load.delayMaxSec).toBeCloseTo(0.3, 2);
  meter.turn();
  expect(meter.load.delayMaxSec).toBeCloseTo(0, 2);
  expect(meter.load.utilization).toBe(0);
});

test('EventLoopMeter counts what the thread slept elsewhere as idle', () => {
  const { total, gauges } = toldLoop();
  const other = { sleptMs: 0, standstill: undefined };
  const meter = new EventLoopMeter(other, gauges);
  total.active += 100;
  other.sleptMs += 75;
  meter.turn();
  expect(meter.load.utilization).toBe(0.25);
  total.active += 100;
  meter.turn();
  expect(meter.load.utilization).toBe(1);
});

test('EventLoopMeter tells how long a thread looked nowhere, where its other loop knows', () => {
  const { gauges } = toldLoop();
  const other = { sleptMs: 0, standstill: createHistogram() };
  const meter = new EventLoopMeter(other, gauges);
  // The event loop’s own timer is late whenever the thread sleeps elsewhere.
  gauges.delay.record(ms(310));
  other.standstill.record(ms(3));
  meter.turn();
  expect(meter.load.delayMaxSec).toBeCloseTo(0.003, 4);
  meter.turn();
  expect(meter.load.delayMaxSec).toBe(0);
});

test('EventLoopMeter sees its own loop stand still', async () => {
  const meter = new EventLoopMeter();
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  while (meter.load.delayMaxSec < 0.1) {
    Atomics.wait(nobody, 0, 0, 150);
    await setImmediate();
  }
  meter.close();
});
