import { VirtualClock } from '@orama/core';
import { DEFAULT_MAX_PARTICIPANTS } from '@orama/protocol';
import { expect, test } from 'vitest';
import { PortBudget } from '../rtc/port-budget.ts';
import { portShares } from './port-shares.ts';

const config = (workers: number | 'auto', mediaPortStart: number, mediaPortEnd: number) =>
  ({ workers, mediaPortStart, mediaPortEnd }) as const;

test('portShares gives every port to one worker', () => {
  expect(portShares(config(3, 20_000, 20_500))).toEqual([
    { start: 20_000, end: 20_166 },
    { start: 20_167, end: 20_333 },
    { start: 20_334, end: 20_500 },
  ]);
});

test('portShares with auto counts cores, and ports that are worth a process', () => {
  expect(portShares(config('auto', 20_000, 20_499), 2)).toHaveLength(2);
  expect(portShares(config('auto', 20_000, 20_499), 64)).toHaveLength(4);
  expect(portShares(config('auto', 20_000, 20_009), 64)).toEqual([{ start: 20_000, end: 20_009 }]);
});

test('portShares with auto leaves each worker the ports that a room of the usual size takes', () => {
  for (let cores = 1; cores <= 64; cores++)
    for (const { start, end } of portShares(config('auto', 20_000, 20_499), cores))
      expect(new PortBudget(start, end, new VirtualClock()).capacity).toBeGreaterThan(DEFAULT_MAX_PARTICIPANTS);
});

test('portShares refuses more workers than the ports are enough for, and a range that is upside down', () => {
  expect(() => portShares(config(3, 20_000, 20_199))).toThrow('3 need 100 media ports each, and there are 200');
  expect(() => portShares(config(1, 20_000, 19_999))).toThrow('mediaPortEnd 19999 is below mediaPortStart 20000');
});
