import { Failpoints, systemClock, VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { StoreUnavailableError } from '@orama/store';
import { waitFor } from '@orama/testkit';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Engine } from './engine.ts';
import { StoreWarnings } from './store-warnings.ts';
import type { Action, Task } from './task.ts';

const options = (clock = systemClock) => ({
  clock,
  logger: silentLogger,
  failpoints: new Failpoints(),
  intervalMs: 60_000,
  warnings: new StoreWarnings(clock, silentLogger),
});
const action = (subject: string): Action => ({ kind: 'sfu-start', subject, reason: 'test' });

test('a task is never run twice at a time, and signals during a run cause exactly one more', async () => {
  let runs = 0;
  let parallel = 0;
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const task: Task = {
    name: 'slow',
    async report() {
      expect(++parallel).toBe(1);
      await gates[runs++]?.promise;
      parallel -= 1;
      return null;
    },
  };
  const engine = new Engine(options());
  const added = engine.add(task);
  engine.wake();
  engine.wake('slow');
  engine.wake('another');
  gates[0]?.resolve();
  await added;
  gates[1]?.resolve();
  await engine.stop();
  expect(runs).toBe(2);
});

test('an action that fails does not keep the others from being applied, nor the report from being written', async () => {
  const seen: string[] = [];
  const engine = new Engine(options());
  await engine.add({
    name: 'task',
    plan: async () => [action('a'), action('b'), action('c')],
    async apply({ subject }) {
      if (subject === 'b') throw new Error('b is broken');
      seen.push(subject);
    },
    async report() {
      seen.push('report');
      return null;
    },
  });
  expect(seen).toEqual(['a', 'c', 'report']);
  expect(engine.status()[0]?.last).toMatchObject({
    ok: false,
    error: 'b is broken',
    applied: ['sfu-start a', 'sfu-start c'],
  });
  await engine.stop();
});

test('nothing is applied when the look fails', async () => {
  const engine = new Engine(options());
  await engine.add({
    name: 'task',
    plan: () => Promise.reject(new StoreUnavailableError('no store')),
    apply: () => expect.unreachable(),
    report: () => expect.unreachable(),
  });
  expect(engine.status()[0]?.last).toMatchObject({ ok: false, error: 'no store' });
  await engine.stop();
});

test('a task runs again when the interval is next over, or sooner when it asks for it', async () => {
  const clock = new VirtualClock();
  let runs = 0;
  const engine = new Engine({ ...options(clock), intervalMs: 2_000 });
  await engine.add({ name: 'task', report: async () => (++runs === 1 ? 100 : null) });
  await waitFor('the timer to be set', () => clock.pending === 1);
  clock.advance(100);
  await waitFor('the second run to be over', () => runs === 2 && clock.pending === 1);
  clock.advance(1_899);
  expect(runs).toBe(2);
  clock.advance(1);
  await waitFor('the third run', () => runs === 3);
  await engine.stop();
});

test('after stop no further action is applied', async () => {
  const seen: string[] = [];
  const engine = new Engine(options());
  let stopped: Promise<void> | undefined;
  await engine.add({
    name: 'task',
    plan: async () => [action('a'), action('b')],
    async apply({ subject }) {
      seen.push(subject);
      stopped = engine.stop();
    },
    report: async () => null,
  });
  await stopped;
  expect(seen).toEqual(['a']);
});

test('after stop no task is run or added', async () => {
  let runs = 0;
  const task: Task = { name: 'task', report: async () => (runs++ < 0 ? 0 : null) };
  const engine = new Engine(options());
  await engine.add(task);
  await engine.stop();
  engine.wake();
  await engine.add({ ...task, name: 'late' });
  expect(runs).toBe(1);
});

test('an unreachable store is told once a minute, however many tasks notice it, and its return once', () => {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) });
  const warnings = new StoreWarnings(clock, logger);
  for (let second = 0; second < 120; second += 1) {
    for (let task = 0; task < 6; task += 1) warnings.unreachable(new Error('gone'));
    clock.advance(1_000);
  }
  warnings.reached();
  warnings.reached();
  expect(lines).toEqual([
    'the store cannot be reached; nothing is changed until it can',
    'the store cannot be reached; nothing is changed until it can',
    'the store can be reached again',
  ]);
});

test('plans() tells what the tasks would do, without what they do it with, and does nothing', async () => {
  const engine = new Engine(options());
  let applied = 0;
  const task = (name: string, plan: () => Promise<Action[]>): Task => ({
    name,
    plan,
    apply: async () => void applied++,
    report: async () => null,
  });
  const secret = 'not to be shown';
  await engine.add(task('one', async () => [{ ...action('a'), secret } as Action]));
  await engine.add(task('two', () => Promise.reject(new StoreUnavailableError('no store'))));
  await engine.add({ name: 'three', report: async () => null });
  expect(applied).toBe(1);
  expect(await engine.plans()).toEqual([
    { task: 'one', actions: [action('a')], error: null },
    { task: 'two', actions: [], error: 'no store' },
    { task: 'three', actions: [], error: null },
  ]);
  expect(applied).toBe(1);
  await engine.stop();
});
