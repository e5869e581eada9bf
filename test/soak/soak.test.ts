import { expect, onTestFinished, test } from 'vitest';
import { growth } from './footprint.ts';
import { virtualPace } from './pace.ts';
import { SeparateServer } from './separate-server.ts';
import { LocalServer } from './server.ts';
import { soak } from './soak.ts';

test('forty clients that come and go for ten minutes leave nothing behind in the TURN server', async () => {
  const pace = virtualPace();
  const server = await LocalServer.start(1, pace);
  onTestFinished(() => server.close());
  const { tally, faults } = await soak(server, { clients: 40, seconds: 600, pace, seed: 1 });
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

test('a server in a process of its own says what that process holds, and ends with its parent’s word', async () => {
  const server = await SeparateServer.start(1);
  const first = await server.measure();
  expect(first.metrics).toMatchObject({ 'turn_relay_ports_bound{svc="turn"}': 0 });
  expect(first.residentBytes).toBeGreaterThan(first.memoryBytes);
  const second = await server.measure();
  expect(growth(first, second, { memoryBytes: 2 ** 20, residentBytes: 2 ** 25 })).toEqual([]);
  await server.close();
  await expect(server.measure()).rejects.toThrow();
});
