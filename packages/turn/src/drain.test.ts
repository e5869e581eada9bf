import { type Logger, VirtualClock } from '@orama/core';
import { beforeEach, expect, test } from 'vitest';
import { Drain } from './drain.ts';

let clock: VirtualClock;
let left: number;
let lines: { allocations: number; endsAt: number }[];
let drain: Drain;
beforeEach(() => {
  clock = new VirtualClock();
  left = 3;
  lines = [];
  const logger = { info: (fields: (typeof lines)[number]) => lines.push(fields) } as unknown as Logger;
  drain = new Drain({ clock, logger, left: () => left });
});

/** Whether a promise has resolved by now. */
async function isOver(promise: Promise<void>): Promise<boolean> {
  return Promise.race([promise.then(() => true), Promise.resolve().then(() => false)]);
}

test('Drain ends with the last allocation, and says every five seconds how many are left', async () => {
  const over = drain.begin(60_000);
  expect(drain.progress).toBe('draining: 3 allocations left, at most 60 s');
  clock.advance(12_000);
  left = 1;
  drain.check();
  clock.advance(5_000);
  expect(lines.map(({ allocations }) => allocations)).toEqual([3, 3, 3, 1]);
  expect(await isOver(over)).toBe(false);
  left = 0;
  drain.check();
  await over;
  clock.advance(60_000);
  expect(lines).toHaveLength(4);
  expect(clock.pending).toBe(0);
});

test('Drain ends at its deadline, or at once when nothing is there', async () => {
  const over = drain.begin(60_000);
  clock.advance(59_999);
  expect(await isOver(over)).toBe(false);
  clock.advance(1);
  await over;

  left = 0;
  await new Drain({ clock, logger: { info: () => undefined } as unknown as Logger, left: () => left }).begin(60_000);
});

test('begun again, Drain keeps the nearer deadline', async () => {
  const over = drain.begin(60_000);
  const until = drain.endsAtMs as number;
  drain.begin(120_000);
  expect(drain.endsAtMs).toBe(until);
  drain.begin(10_000);
  expect(drain.endsAtMs).toBe(until - 50_000);
  clock.advance(10_000);
  await over;
  expect(clock.pending).toBe(0);
});

test('a check before it has begun ends nothing', () => {
  left = 0;
  drain.check();
  expect(drain.begun).toBe(false);
});
