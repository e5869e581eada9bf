import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { mediaTime } from '../testing/media-time.ts';
import { StepwiseWork } from './stepwise-work.ts';

const time = mediaTime();

/** Steps of a fifth of a millisecond each, in `done`. */
function* steps(count: number, done: string[], name = 'step') {
  for (let i = 0; i < count; i++) {
    time.nowMs += 0.2;
    done.push(`${name} ${i}`);
    yield;
  }
}

test('StepwiseWork lets the event loop have its turn between steps, and does all of them', async () => {
  const done: string[] = [];
  const work = new StepwiseWork();
  setImmediate(() => done.push('packet'));
  work.begin(steps(4, done));
  expect(work.isUnderWay).toBe(true);
  while (work.isUnderWay) await nextTurn();
  expect(done).toEqual(['step 0', 'step 1', 'step 2', 'packet', 'step 3']);
});

test('StepwiseWork begins at once, and ends at once what fits', () => {
  const done: string[] = [];
  const work = new StepwiseWork();
  work.begin(steps(2, done));
  expect(done).toHaveLength(2);
  expect(work.isUnderWay).toBe(false);
});

test('new work takes the place of what was under way, and stop ends all', async () => {
  const done: string[] = [];
  const work = new StepwiseWork();
  work.begin(steps(9, done, 'old'));
  work.begin(steps(9, done, 'new'));
  await nextTurn();
  expect(done).toEqual(['old 0', 'old 1', 'old 2', 'new 0', 'new 1', 'new 2']);
  work.stop();
  await nextTurn();
  expect(done).toHaveLength(6);
});

test('a step that throws ends its work and no other', () => {
  const work = new StepwiseWork();
  const next = () => {
    throw new Error('a bug');
  };
  expect(() => work.begin({ next })).toThrow('a bug');
  const done: string[] = [];
  work.begin(steps(1, done));
  expect(done).toEqual(['step 0']);
});
