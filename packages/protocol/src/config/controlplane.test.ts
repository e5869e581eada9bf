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
  [{ baseDomain: 'orama.localhost.' }, ['baseDomain'], 'host name'],
  [{ baseDomain: 'not a name' }, ['baseDomain'], 'host name'],
  [{ baseDomain: `${'a.'.repeat(63)}com` }, ['baseDomain'], '127'],
  [{ turn: { drainTimeoutMs: 2 ** 31 } }, ['turn', 'drainTimeoutMs'], '2147483647'],
  [{ turn: { nonceLifetimeSec: 86_401 } }, ['turn', 'nonceLifetimeSec'], '86400'],
  [
    { turn: { unauthenticatedRate: { burst: 1000, perSec: 0.001 } } },
    ['turn', 'unauthenticatedRate', 'perSec'],
    '129600',
  ],
  [{ turn: { defaultLifetimeSec: 3_601 } }, ['turn', 'defaultLifetimeSec'], '3600'],
  [{ ports: { turnRelay: { start: 1023, end: 2000 } } }, ['ports', 'turnRelay', 'start'], '1024'],
])('what no TURN tenant can have is refused: %j', (change, path, says) => {
  const { error } = controlplaneConfigSchema.safeParse({ ...config, ...change });
  expect(error?.issues).toMatchObject([{ path, message: expect.stringContaining(says) }]);
});

test('the base domain is in small letters from here on, as hosts are compared everywhere', () => {
  expect(controlplaneConfigSchema.parse({ ...config, baseDomain: 'Orama.Example.COM' }).baseDomain).toBe(
    'orama.example.com',
  );
});

test('where systemd runs the services, data and cluster key are where the units look', () => {
  const systemd = { ...config, services: { manager: 'systemd' } };
  const { error } = controlplaneConfigSchema.safeParse(systemd);
  expect(error?.issues).toMatchObject([
    { path: ['dataDir'], message: 'must be /var/lib/orama, where the units of systemd look' },
    { path: ['clusterKeyFile'], message: 'must be /etc/orama/cluster.key, where the units of systemd look' },
  ]);
  const right = { dataDir: '/var/lib/orama', clusterKeyFile: '/etc/orama/cluster.key' };
  expect(controlplaneConfigSchema.safeParse({ ...systemd, ...right }).error).toBeUndefined();
});

test.each([
  [{ turn: { port: 50_000 } }, '50000'],
  [{ turn: { tlsPort: 65_535 } }, '65535'],
  [{ ports: { turnRelay: { start: 6000, end: 6799 } } }, '6003'],
])('a relay range that holds a port of the TURN server itself is refused: %j', (change, port) => {
  const { error } = controlplaneConfigSchema.safeParse({ ...config, ...change });
  expect(error?.issues).toMatchObject([{ path: ['ports', 'turnRelay'], message: expect.stringContaining(port) }]);
  expect(controlplaneConfigSchema.safeParse(config).success).toBe(true);
});

test.each([
  { sfuMedia: { start: 40_000, end: 49_152 } },
  { sfuMedia: { start: 65_535, end: 65_535 } },
  { turnRelay: { start: 10_000, end: 60_000 } },
])('ports that would be given to an SFU and to TURN are refused: %j', (ports) => {
  const { error } = controlplaneConfigSchema.safeParse({ ...config, ports });
  expect(error?.issues).toMatchObject([{ path: ['ports', 'sfuMedia'], message: expect.stringContaining('turnRelay') }]);
});

test.each([
  [{ source: 'caddy', admin: 'http://203.0.113.1:2019' }, 'admin', 'loopback'],
  [{ source: 'caddy', admin: 'https://127.0.0.1:2019' }, 'admin', 'http://127.0.0.1:2019'],
  [{ source: 'caddy', admin: 'http://127.0.0.1.example.com' }, 'admin', 'loopback'],
  [{ source: 'caddy', admin: 'unix:run/caddy.sock' }, 'admin', 'unix:/run/caddy/admin.sock'],
  [{ source: 'caddy', storage: 'caddy' }, 'storage', 'absolute'],
  [{ source: 'certbot' }, 'source', 'Invalid'],
])('certificates that cannot come from there are refused: %j', (certificates, field, says) => {
  const { error } = controlplaneConfigSchema.safeParse({ ...config, certificates });
  expect(error?.issues).toMatchObject([{ path: ['certificates', field], message: expect.stringContaining(says) }]);
  for (const admin of ['http://localhost:2019', 'http://[::1]:2019', 'http://127.0.0.5', 'unix:/run/caddy.sock'])
    expect(controlplaneConfigSchema.safeParse({ ...config, certificates: { source: 'caddy', admin } }).success).toBe(
      true,
    );
});

test.each([
  [{ turn: { port443: true, tlsPort: 443 } }, ['turn', 'port443'], 'already'],
  [
    { turn: { port443: true }, gateway: { listen: { address: '198.51.100.1', port: 443 } } },
    ['gateway', 'listen', 'port'],
    '127.0.0.1',
  ],
])('a port 443 that is needed twice is refused: %j', (change, path, says) => {
  const { error } = controlplaneConfigSchema.safeParse({ ...config, ...change });
  expect(error?.issues).toMatchObject([{ path, message: expect.stringContaining(says) }]);
  expect(controlplaneConfigSchema.parse({ ...config, turn: { port443: true } }).turn).toMatchObject({
    httpsServer: { address: '127.0.0.1', port: 8443 },
  });
});

test('coreServices are all that the node can have, and rqlite only where it is the store', () => {
  const store = { driver: 'rqlite', addresses: ['http://10.0.0.1:4001'] };
  expect(controlplaneConfigSchema.parse(config).coreServices).toEqual(['gateway', 'turn']);
  expect(controlplaneConfigSchema.parse({ ...config, store }).coreServices).toEqual(['rqlite', 'gateway', 'turn']);
  expect(controlplaneConfigSchema.parse({ ...config, store, coreServices: [] }).coreServices).toEqual([]);
  const { error } = controlplaneConfigSchema.safeParse({ ...config, coreServices: ['rqlite'] });
  expect(error?.issues).toMatchObject([{ path: ['coreServices'], message: expect.stringContaining('not the store') }]);
});

test('the zone of a PowerDNS server has to hold the base domain', () => {
  const dns = { writer: 'powerdns', url: 'http://127.0.0.1:8081', apiKeyFile: '/data/key' };
  const issuesOf = (more: object) =>
    controlplaneConfigSchema.safeParse({ ...config, dns: { ...dns, ...more } }).error?.issues;
  const { baseDomain } = controlplaneConfigSchema.parse(config);
  expect([issuesOf({}), issuesOf({ zone: baseDomain.split('.').slice(1).join('.') })]).toEqual([undefined, undefined]);
  expect(issuesOf({ zone: `sub.${baseDomain}` })).toMatchObject([{ path: ['dns', 'zone'] }]);
  expect(issuesOf({ url: 'ftp://127.0.0.1' })).toMatchObject([{ path: ['dns', 'url'] }]);
});

test('a nameserver of the embedded DNS server needs addresses where its name lies in the zone', () => {
  const issuesOf = (nameservers: object[]) =>
    controlplaneConfigSchema.safeParse({ ...config, dns: { writer: 'embedded', nameservers } }).error?.issues;
  const { baseDomain } = controlplaneConfigSchema.parse(config);
  expect(issuesOf([{ name: 'ns1.elsewhere.test' }, { name: `NS1.${baseDomain}`, addresses: ['203.0.113.1'] }])).toBe(
    undefined,
  );
  expect(issuesOf([{ name: `ns1.x${baseDomain}` }])).toBe(undefined);
  expect(issuesOf([{ name: `ns1.${baseDomain}` }])).toMatchObject([
    { path: ['dns', 'nameservers', 0, 'addresses'], message: expect.stringContaining('give its addresses') },
  ]);
});
