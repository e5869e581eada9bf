import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { controlplaneConfigSchema } from '@orama/protocol';
import { afterAll, expect, test } from 'vitest';
import { addressesOfNode, checkPorts } from './ports.ts';
import { checkLoads, checkNativeModules, checkNode } from './programs.ts';

const ADDRESS = '127.85.9.1';
const folder = mkdtempSync(join(tmpdir(), 'orama-doctor-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a Node that is too old is told with what to do', () => {
  expect(checkNode()).toMatchObject({ state: 'passed' });
  expect(checkNode('22.4.1')).toMatchObject({ state: 'failed', mend: expect.stringContaining('Node 24') });
});

test('the native modules of this checkout are loaded, each in a process of its own', async () => {
  const lines = await checkNativeModules();
  expect(lines.map(({ id, state }) => `${id} ${state}`)).toEqual([
    'native:node-datachannel passed',
    'native:better-sqlite3 passed',
    'native:koffi passed',
  ]);
});

test.each([
  [
    'is for another machine',
    "process.dlopen({ exports: {} }, new URL('broken.node', import.meta.url).pathname)",
    'Error',
  ],
  ['ends the process', "process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {})", 'SIGSEGV'],
  ['is not there', "await import('./gone.mjs')", 'gone.mjs'],
])('a module that %s fails with why', async (_what, code, why) => {
  writeFileSync(join(folder, 'broken.node'), 'no library');
  const path = join(folder, `${why}.mjs`);
  writeFileSync(path, code);
  const line = await checkLoads('native:broken', path, '0');
  expect(line).toMatchObject({ id: 'native:broken', state: 'failed', mend: expect.stringContaining('install') });
  expect(line.seen).toContain(why);
});

test('ports are free, or held by a program that is named', async () => {
  const wanted = { transport: 'tcp' as const, address: ADDRESS, port: 3478, user: 'turn of node-1' };
  expect(checkPorts([wanted], false)).toMatchObject([{ state: 'passed', seen: expect.stringContaining('1 free') }]);
  expect(checkPorts([wanted], true)).toMatchObject([
    { state: 'failed', seen: `nothing listens on ${ADDRESS}:3478/tcp (turn of node-1)` },
  ]);
  const resume = 'orama turn resume --node node-1';
  expect(checkPorts([{ ...wanted, resume }], true)).toMatchObject([
    {
      state: 'warning',
      seen: expect.stringContaining(`drained, so that nothing listens on ${ADDRESS}:3478`),
      mend: resume,
    },
  ]);
  const stranger = createServer().listen(3478, ADDRESS);
  await once(stranger, 'listening');
  try {
    const [line] = checkPorts([wanted], false);
    expect(line).toMatchObject({ state: 'failed', mend: expect.stringContaining('stop that program') });
    expect(line?.seen).toContain(`is held by`);
    expect(line?.seen).toContain(`(process ${process.pid})`);
  } finally {
    stranger.close();
  }
});

test('the ports of a node are all that its configuration has it listen on', () => {
  const config = controlplaneConfigSchema.parse({
    ...{ clusterId: 'c', node: 'node-1', wireguardIp: '10.0.0.1', wireguardNetwork: '10.0.0.0/24' },
    ...{ publicIp: '203.0.113.1', publicIp6: '2001:DB8::1', baseDomain: 'example.com', dataDir: '/var/lib/orama' },
    ...{ clusterKeyFile: '/etc/orama/cluster.key', services: { manager: 'systemd' }, api: {} },
    store: { driver: 'rqlite', addresses: ['https://10.0.0.1:4001', 'https://10.0.0.2:4001'], credentialsFile: '/c' },
    gateway: { listen: { address: '127.0.0.1', port: 6080 } },
    turn: { port443: true, external: { '192.168.0.2': '203.0.113.1' } },
    dns: { writer: 'embedded' },
  });
  const shown = addressesOfNode(config).map(({ transport, address, port }) => `${transport} ${address} ${port}`);
  expect(shown.sort()).toEqual(
    [
      ...[4001, 4002, 6001, 6002, 6003].map((port) => `tcp 10.0.0.1 ${port}`),
      ...[6001, 6080].map((port) => `tcp 127.0.0.1 ${port}`),
      ...['192.168.0.2', '2001:db8::1'].flatMap((address) => [
        ...[443, 3478, 5349, 53].map((port) => `tcp ${address} ${port}`),
        ...[3478, 53].map((port) => `udp ${address} ${port}`),
      ]),
    ].sort(),
  );
});
