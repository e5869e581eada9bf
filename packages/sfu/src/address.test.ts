import { ConfigError } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { sfuConfigSchema } from '@orama/protocol';
import { expect, test } from 'vitest';
import { Sfu } from './sfu.ts';

const config = {
  ...{ node: 'node-1', namespace: 'demo', signalingPort: 30_000, mediaPortStart: 20_000, mediaPortEnd: 20_010 },
  ...{ secretFile: 'not read here', turn: { uris: [], secret: 'a secret of the tests' } },
};

test.each([
  ['0.0.0.0', '10.8.0.0/24'],
  ['::', 'fd00:8::/64'],
  ['203.0.113.7', '10.8.0.0/24'],
  ['10.9.0.1', '10.8.0.0/24'],
  ['127.0.0.1', '10.8.0.0/24'],
  ['::ffff:10.8.0.1', '10.8.0.0/24'],
  ['2001:db8::1', 'fd00:8::/64'],
  ['203.0.113.7', '0.0.0.0/0'],
])('Sfu refuses to be made for %s in %s, and says why', (address, wireguardNetwork) => {
  const make = () =>
    new Sfu({
      config: sfuConfigSchema.parse({ ...config, address, wireguardNetwork }),
      secret: 'x'.repeat(32),
      logger: silentLogger,
    });
  expect(make).toThrow(ConfigError);
  expect(make).toThrow(/must not listen|whole internet/);
});

test('Sfu is made for an address inside the WireGuard network', () => {
  const parsed = sfuConfigSchema.parse({ ...config, address: '10.8.0.1', wireguardNetwork: '10.8.0.0/24' });
  expect(new Sfu({ config: parsed, secret: 'x'.repeat(32), logger: silentLogger })).toBeInstanceOf(Sfu);
});
