import { expect, test } from 'vitest';
import { descriptorLimit, descriptorShares } from './descriptors.ts';

const config = { tls: { port: 5349 }, maxTcpConnections: 10_000, listen: ['192.0.2.1'] };

test('connections get what is configured where the limit is high, half of what is left where it is low, relay sockets the rest', () => {
  const infinite = Number.POSITIVE_INFINITY;
  expect(descriptorShares(infinite, config, 2)).toEqual({ connections: 10_000, relaySockets: infinite });
  expect(descriptorShares(524_288, config, 64)).toEqual({ connections: 10_000, relaySockets: 513_008 });
  expect(descriptorShares(1024, config, 1)).toEqual({ connections: 470, relaySockets: 471 });
  expect(descriptorShares(1024, { ...config, maxTcpConnections: 100 }, 1)).toEqual({
    connections: 100,
    relaySockets: 841,
  });
  expect(() => descriptorShares(84, config, 1)).toThrow('workers: 1 need 85 open files, but the limit is 84');
});

test('descriptorLimit knows this process’s', () => {
  expect(descriptorLimit()).toBeGreaterThan(100);
});
