import { expect, test } from 'vitest';
import { controlplaneConfigSchema } from './controlplane.ts';

const config = {
  clusterId: 'c1',
  node: 'node-1',
  wireguardIp: '10.0.0.1',
  publicIp: '198.51.100.1',
  wireguardNetwork: '10.0.0.0/24',
  baseDomain: 'orama.localhost',
  dataDir: '/data',
  clusterKeyFile: '/data/cluster.key',
  store: { driver: 'sqlite', file: '/data/orama.db' },
  api: {},
  services: { manager: 'processes', programs: { gateway: ['gateway'], turn: ['turn'], sfu: ['sfu'] } },
  gateway: { listen: { address: '127.0.0.1', port: 6080 } },
  dns: { writer: 'file', file: '/data/records' },
};

test.each([
  [{ turn: { port: 50_000 } }, '50000'],
  [{ turn: { tlsPort: 65_535 } }, '65535'],
  [{ ports: { turnRelay: { start: 6000, end: 6799 } } }, '6003'],
])('a relay range that holds a port of the TURN server itself is refused: %j', (change, port) => {
  const { error } = controlplaneConfigSchema.safeParse({ ...config, ...change });
  expect(error?.issues).toMatchObject([{ path: ['ports', 'turnRelay'], message: expect.stringContaining(port) }]);
  expect(controlplaneConfigSchema.safeParse(config).success).toBe(true);
});
