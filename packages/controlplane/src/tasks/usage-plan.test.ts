import type { TurnUsage } from '@orama/protocol';
import type { RelayCounters, TurnReadRow } from '@orama/store';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planUsage } from './usage-plan.ts';

const HOUR = 3_600_000;
const NOON = Date.UTC(2026, 10, 21, 12);

/** A reading of one tenant with so many bytes to peers. */
const reading = (bytes: number, boot = 'a', namespace = 'demo'): TurnUsage => ({
  boot,
  tenants: [{ namespace, toPeerBytes: bytes, toPeerPackets: 0, toClientBytes: 0, toClientPackets: 0, allocations: 0 }],
});
const counters = (bytesIn: number): RelayCounters => ({
  bytesIn,
  packetsIn: 0,
  bytesOut: 0,
  packetsOut: 0,
  allocations: 0,
});
const stored = (bytes: number, boot = 'a'): TurnReadRow => ({
  nodeId: 'n',
  boot,
  counters: { demo: counters(bytes) },
  readAtMs: NOON,
  sequence: 4,
});
/** Bytes by hour after noon. */
const bytesOf = (plan: ReturnType<typeof planUsage>) =>
  plan?.hours.map((hour) => [(hour.hourMs - NOON) / HOUR, hour.bytesIn]);

test('planUsage adds what the counters grew by since the stored read, and raises its sequence', () => {
  const plan = planUsage('n', stored(100), reading(160), NOON, NOON + 5_000);
  expect(bytesOf(plan)).toEqual([[0, 60]]);
  expect(plan?.read).toMatchObject({ boot: 'a', counters: { demo: counters(160) }, sequence: 5 });
});

test('planUsage adds the whole counters of a new boot, of a new tenant and at the first read', () => {
  expect(bytesOf(planUsage('n', stored(100), reading(160, 'b'), NOON, NOON + 5_000))).toEqual([[0, 160]]);
  expect(bytesOf(planUsage('n', stored(100), reading(7, 'a', 'new'), NOON, NOON + 5_000))).toEqual([[0, 7]]);
  expect(bytesOf(planUsage('n', null, reading(160), NOON, NOON + 5_000))).toEqual([[0, 160]]);
});

test('planUsage plans nothing while nothing moves within an hour, but notes a new boot', () => {
  expect(planUsage('n', stored(100), reading(100), NOON, NOON + 5_000)).toBeNull();
  expect(planUsage('n', stored(100), reading(0, 'b'), NOON, NOON + 5_000)).toMatchObject({ hours: [] });
});

test('planUsage notes once an hour that nothing moved, so that a later reading is not spread over idle hours', () => {
  const idle = planUsage('n', stored(100), reading(100), NOON, NOON + HOUR);
  expect(idle).toMatchObject({ hours: [], read: { readAtMs: NOON + HOUR, sequence: 5 } });
});

test('planUsage gives each hour its share of what was relayed between two readings', () => {
  const since = NOON + HOUR - 1_000;
  expect(bytesOf(planUsage('n', stored(0), reading(1_000), since, NOON + HOUR + 3_000))).toEqual([
    [0, 250],
    [1, 750],
  ]);
  expect(bytesOf(planUsage('n', stored(0), reading(1_000), since, NOON + HOUR))).toEqual([[0, 1_000]]);
});

test('planUsage puts everything into the present hour when the clock went back', () => {
  expect(bytesOf(planUsage('n', stored(0), reading(9), NOON + 2 * HOUR, NOON + 5_000))).toEqual([[0, 9]]);
});

test('planUsage loses and invents no byte, however long the time between two readings', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 2 ** 45 }),
      fc.nat({ max: 2 ** 40 }),
      fc.integer({ min: 0, max: 40 * HOUR }),
      fc.nat({ max: HOUR }),
      (before, more, spanMs, offsetMs) => {
        const from = NOON + offsetMs;
        const plan = planUsage('n', stored(before), reading(before + more), from, from + spanMs);
        const hours = plan?.hours ?? [];
        expect(hours.reduce((sum, hour) => sum + hour.bytesIn, 0)).toBe(more);
        expect(hours.every((hour) => hour.bytesIn > 0)).toBe(true);
      },
    ),
  );
});
