import { expect, test } from 'vitest';
import { turnConfigSchema } from './turn.ts';

const config = {
  node: 'node-1',
  listen: ['127.89.1.1'],
  realm: 'orama.localhost',
  controlSocket: '/run/turn.sock',
  internal: { address: '127.89.0.1' },
};

test("a TLS listener on the port of the others is refused: several workers would answer each other's clients", () => {
  const same = turnConfigSchema.safeParse({ ...config, port: 5349 });
  expect(same.error?.issues).toMatchObject([{ path: ['tls', 'port'], message: expect.stringContaining('own') }]);
  for (const tls of [false, { port: 5350 }])
    expect(turnConfigSchema.safeParse({ ...config, port: 5349, tls }).success).toBe(true);
});
