import { expect, test } from 'vitest';
import { connectionsWithin, descriptorLimit } from './descriptors.ts';

const config = { maxTcpConnections: 10_000, listen: ['192.0.2.1'] };

test('connectionsWithin takes what is configured where the limit is high, and half of what is left where it is low', () => {
  expect(connectionsWithin(Number.POSITIVE_INFINITY, config, 2)).toBe(10_000);
  expect(connectionsWithin(524_288, config, 64)).toBe(10_000);
  expect(connectionsWithin(1024, config, 1)).toBe(470);
  expect(connectionsWithin(1024, { ...config, maxTcpConnections: 100 }, 1)).toBe(100);
  expect(() => connectionsWithin(84, config, 1)).toThrow('workers: 1 need 85 open files, but the limit is 84');
});

test('descriptorLimit knows this process’s', () => {
  expect(descriptorLimit()).toBeGreaterThan(100);
});
