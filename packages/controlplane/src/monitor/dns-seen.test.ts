import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { createMetrics } from '@orama/core/metrics';
import { expect, onTestFinished, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { DnsServer } from '../dns/embedded/dns-server.ts';
import { buildZone } from '../dns/embedded/zone.ts';
import { formatZone } from '../dns/zone-file.ts';
import { seeDns } from './dns-seen.ts';

const ADDRESS = '127.84.31.1';
const namespaces = Array.from({ length: 40 }, (_, index) => `n${index}`);
const records = namespaces.map((name) => ({
  ...{ fqdn: `turn.ns-${name}.orama.localhost`, type: 'A' as const, value: '192.0.2.1', ttlSec: 60 },
}));

test('seeDns() asks our own server for the names of many namespaces, and gets every answer', async () => {
  const server = new DnsServer({
    ...{ listen: [{ address: ADDRESS, port: 5300 }], clock: systemClock, logger: silentLogger },
    metrics: createMetrics('test'),
  });
  await server.start();
  onTestFinished(() => server.stop());
  const nameservers = [{ name: 'node-1.dns.orama.localhost', addresses: [ADDRESS] }];
  server.serve(
    buildZone({
      baseDomain: 'orama.localhost',
      serial: 1,
      contact: 'hostmaster.orama.localhost',
      nameservers,
      records,
    }),
  );
  const dns = { writer: 'embedded' as const, listen: [{ address: ADDRESS, port: 5300 }] };
  const seen = await seeDns(testConfig('/nowhere', { dns }), namespaces);
  expect(seen).toHaveLength(80);
  expect(seen.filter(({ kind }) => kind === 'turn').map(({ addresses }) => addresses)).toEqual(
    namespaces.map(() => ['192.0.2.1']),
  );
  expect(seen.filter(({ addresses }) => addresses === null)).toEqual([]);
});

test('seeDns() does not go on asking a server that answers nothing', async () => {
  const dns = { writer: 'embedded' as const, listen: [{ address: ADDRESS, port: 5301 }] };
  const seen = await seeDns(testConfig('/nowhere', { dns }), namespaces);
  expect(seen).toHaveLength(80);
  expect(new Set(seen.map(({ addresses }) => addresses))).toEqual(new Set([null]));
  expect(seen.at(-1)?.reason).toBe('it answered nothing before');
});

test('seeDns() reads the file where that is all there is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'orama-zone-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'zone');
  const config = testConfig('/nowhere', { dns: { writer: 'file', file } });
  expect(await seeDns(config, ['n1'])).toMatchObject([
    { addresses: null, reason: expect.stringContaining('ENOENT') },
    {},
  ]);
  writeFileSync(file, formatZone(records));
  expect(await seeDns(config, ['n1'])).toEqual([
    {
      name: 'turn.ns-n1.orama.localhost',
      namespace: 'n1',
      kind: 'turn',
      asked: `file ${file}`,
      addresses: ['192.0.2.1'],
      reason: null,
    },
    {
      name: 'ns-n1.orama.localhost',
      namespace: 'n1',
      kind: 'gateway',
      asked: `file ${file}`,
      addresses: [],
      reason: null,
    },
  ]);
});
