import { expect, test } from 'vitest';
import { turnConfigSchema } from './turn.ts';

const config = {
  node: 'node-1',
  listen: ['127.89.1.1'],
  realm: 'orama.localhost',
  controlSocket: '/run/turn.sock',
  internal: { address: '127.89.0.1' },
};

const HTTPS = { address: '127.0.0.1', port: 8443 };

test("a TLS listener on the port of the others is refused: several workers would answer each other's clients", () => {
  const same = turnConfigSchema.safeParse({ ...config, port: 5349 });
  expect(same.error?.issues).toMatchObject([{ path: ['tls', 'port'], message: expect.stringContaining('own') }]);
  for (const tls of [false, { port: 5350 }])
    expect(turnConfigSchema.safeParse({ ...config, port: 5349, tls }).success).toBe(true);
});

test.each([
  [{ listen: ['127.89.1.1', '127.89.1.1'] }, ['listen'], 'twice'],
  [{ defaultLifetimeSec: 7200, maxLifetimeSec: 600 }, ['defaultLifetimeSec'], 'above maxLifetimeSec'],
  [{ drainTimeoutMs: 2 ** 31 }, ['drainTimeoutMs'], '2147483647'],
  [{ maxLifetimeSec: 2 ** 32 }, ['maxLifetimeSec'], '4294967295'],
  [{ nonceLifetimeSec: 3_600_000_000 }, ['nonceLifetimeSec'], '86400'],
  [{ unauthenticatedRate: { burst: 1000, perSec: 0.001 } }, ['unauthenticatedRate', 'perSec'], '129600 seconds'],
  [{ tls: { shared: { port: 5349, https: HTTPS } } }, ['tls', 'shared', 'port'], 'own'],
  [{ tls: { shared: { port: 3478, https: HTTPS } } }, ['tls', 'shared', 'port'], 'own'],
  [{ tls: { shared: { https: { address: '127.89.1.1', port: 443 } } } }, ['tls', 'shared', 'https'], 'itself'],
  [
    { internal: { address: '127.89.1.1', port: 443 }, tls: { shared: { https: HTTPS } } },
    ['internal', 'port'],
    'served',
  ],
  [{ internal: { address: '127.89.1.1', port: 3478 } }, ['internal', 'port'], 'clients are served'],
])('%j cannot be right and is refused', (change, path, message) => {
  const { error } = turnConfigSchema.safeParse({ ...config, ...change });
  expect(error?.issues).toMatchObject([{ path, message: expect.stringContaining(message) }]);
});
