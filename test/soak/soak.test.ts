import { expect, test } from 'vitest';
import { growth } from './footprint.ts';
import { virtualPace } from './pace.ts';
import { soak } from './soak.ts';

test('forty clients that come and go for ten minutes leave nothing behind in the TURN server', async () => {
  const { tally, faults } = await soak({ clients: 40, workers: 1, seconds: 600, pace: virtualPace(), seed: 1 });
  expect(faults).toEqual([]);
  expect(tally.clients).toBeGreaterThan(80);
  expect(tally.vanished).toBeGreaterThan(10);
  expect(tally.echoes).toBeGreaterThan(1000);
});

test('whatever has grown is named, and what has shrunk is not', () => {
  const before = {
    memoryBytes: 1000,
    residentBytes: 5000,
    descriptors: 9,
    resources: { UDPWrap: 2, Timeout: 5 },
    metrics: {},
  };
  const after = {
    memoryBytes: 1200,
    residentBytes: 5300,
    descriptors: 10,
    resources: { UDPWrap: 3, Timeout: 4, TCPSocketWrap: 1 },
    metrics: { turn_allocations: 1 },
  };
  const most = { memoryBytes: 100, residentBytes: 200 };
  expect(growth(before, after, most)).toEqual([
    'memory: 1000 before, 1200 after',
    'resident memory: 5000 before, 5300 after',
    'open files and sockets: 9 before, 10 after',
    'UDPWrap: 2 before, 3 after',
    'TCPSocketWrap: 0 before, 1 after',
    'turn_allocations: 0 before, 1 after',
  ]);
  expect(growth(before, before, most)).toEqual([]);
});
