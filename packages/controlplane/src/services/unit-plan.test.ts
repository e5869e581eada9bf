import { VirtualClock } from '@orama/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CrashBackoff, recheckMs } from './crash-backoff.ts';
import type { ServiceState } from './service-manager.ts';
import { planUnits } from './unit-plan.ts';

const running = (unit: string, configDigest = 'a', phase: ServiceState['phase'] = 'running'): ServiceState => ({
  unit,
  phase,
  configDigest,
  startedAtMs: 0,
});
const anyTime = () => true;

test('planUnits starts what is missing, stops what is not desired, and restarts what has another configuration', () => {
  const steps = planUnits(
    [
      { unit: 'new', configDigest: 'a' },
      { unit: 'same', configDigest: 'a' },
      { unit: 'changed', configDigest: 'b' },
    ],
    [running('same'), running('changed'), running('old')],
    anyTime,
  );
  expect(steps.map((step) => `${step.do} ${step.unit}`)).toEqual(['stop changed', 'stop old', 'start new']);
});

test('planUnits leaves a unit alone while it is stopping, and while it must wait after a crash', () => {
  const desired = [
    { unit: 'going', configDigest: 'a' },
    { unit: 'crashed', configDigest: 'a' },
  ];
  expect(planUnits(desired, [running('going', 'b', 'stopping')], () => false)).toEqual([]);
  expect(planUnits(desired, [running('going', 'b', 'stopping')], () => true).map((step) => step.unit)).toEqual([
    'crashed',
  ]);
});

test('planUnits starts nothing that is held, and stops what systemd is about to start again', () => {
  const desired = ['absent', 'serves', 'crashed', 'ends'].map((unit) => ({ unit, configDigest: 'a' }));
  const observed = [running('serves'), running('crashed', 'a', 'ended'), running('ends', 'a', 'stopping')];
  const steps = (isHeld: boolean) =>
    planUnits(desired, observed, anyTime, () => isHeld).map((step) => `${step.do} ${step.unit}`);
  expect(steps(true)).toEqual(['stop crashed']);
  expect(steps(false)).toEqual(['start absent']);
});

test('planUnits comes to rest: carried out step by step, it ends with exactly the desired units', () => {
  const unit = fc.record({ unit: fc.constantFrom('a', 'b', 'c', 'd'), configDigest: fc.constantFrom('x', 'y') });
  const set = fc.uniqueArray(unit, { selector: (one) => one.unit });
  fc.assert(
    fc.property(set, set, (desired, present) => {
      let observed = present.map((one) => running(one.unit, one.configDigest));
      for (let round = 0; round < 3; round += 1) {
        for (const step of planUnits(desired, observed, anyTime)) {
          if (step.do === 'stop') observed = observed.filter((one) => one.unit !== step.unit);
          else
            observed = [...observed, running(step.unit, desired.find((one) => one.unit === step.unit)?.configDigest)];
        }
      }
      expect(planUnits(desired, observed, anyTime)).toEqual([]);
      expect(observed.map((one) => `${one.unit} ${one.configDigest}`).sort()).toEqual(
        desired.map((one) => `${one.unit} ${one.configDigest}`).sort(),
      );
    }),
  );
});

test('CrashBackoff lets a unit start at once after its first crash, then slower and slower up to half a minute', () => {
  const backoff = new CrashBackoff(new VirtualClock());
  const delays: number[] = [];
  for (let n = 0; n < 12; n += 1) {
    backoff.note({ unit: 'u', uptimeMs: 10, wanted: false, how: 'exit code 1' });
    delays.push(backoff.waitMs('u'));
  }
  expect(delays[0]).toBe(0);
  expect(delays[1]).toBeLessThanOrEqual(250);
  expect(delays.at(-1)).toBeGreaterThanOrEqual(15_000);
  expect(Math.max(...delays)).toBeLessThanOrEqual(30_000);
  expect(backoff.reason('u')).toMatch(/^ended 12 times in a row, last with exit code 1, started again in \d+ s$/);
});

test('CrashBackoff forgets crashes of a unit that ran soundly, and of one that was told to stop', () => {
  const backoff = new CrashBackoff(new VirtualClock());
  for (let n = 0; n < 5; n += 1) backoff.note({ unit: 'u', uptimeMs: 10, wanted: false, how: 'exit code 1' });
  backoff.note({ unit: 'u', uptimeMs: 60_000, wanted: false, how: 'exit code 1' });
  expect(backoff.waitMs('u')).toBe(0);
  backoff.note({ unit: 'u', uptimeMs: 10, wanted: true, how: 'exit code 0' });
  expect(backoff.reason('u')).toBeNull();
});

test('recheckMs looks often while a unit starts, and at the usual pace once it has had its time', () => {
  const backoff = new CrashBackoff(new VirtualClock());
  expect(recheckMs('u', running('u'), backoff, 1_000)).toBe(100);
  expect(recheckMs('u', running('u'), backoff, 60_000)).toBeNull();
  // The time went back.
  expect(recheckMs('u', running('u'), backoff, -600_000)).toBeNull();
});

test('CrashBackoff lets a unit start when its wait is over, however the time jumps meanwhile', () => {
  const clock = new VirtualClock();
  let jumpMs = 0;
  const backoff = new CrashBackoff({
    now: () => clock.now() + jumpMs,
    monotonic: () => clock.monotonic(),
    after: (ms, run) => clock.after(ms, run),
    every: (ms, run) => clock.every(ms, run),
  });
  for (let n = 0; n < 5; n += 1) backoff.note({ unit: 'u', uptimeMs: 10, wanted: false, how: 'exit code 1' });
  const waitMs = backoff.waitMs('u');
  expect(waitMs).toBeGreaterThan(0);
  jumpMs = -600_000;
  clock.advance(Math.ceil(waitMs));
  expect(backoff.waitMs('u')).toBe(0);
});
