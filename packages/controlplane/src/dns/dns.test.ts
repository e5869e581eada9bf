import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DnsRecordRow, NodeRow, ServiceReportRow } from '@orama/store';
import { expect, onTestFinished, test } from 'vitest';
import { settings, turnRow } from '../../testing/rows.ts';
import { joinDesired } from '../reconcile/desired.ts';
import { type DnsSituation, planDns } from './plan.ts';
import { formatZone, ZoneFileWriter } from './zone-file.ts';

const NOW = 1_000_000;
const node = (number: number, reachable = true): NodeRow => ({
  id: `node-${number}`,
  name: `node-${number}`,
  wireguardIp: `10.0.0.${number}`,
  publicIp: `203.0.113.${number}`,
  publicIp6: null,
  wireguard: null,
  region: 'default',
  capacity: 100,
  version: '0',
  state: 'active',
  core: [],
  load: { relayedBytesPerSec: 0, loopDelayMs: 0 },
  lastSeenAtMs: 0,
  beats: 1,
  reachable,
  reachableSinceMs: 0,
});
const report = (number: number, healthy: boolean, forMs = 60_000): ServiceReportRow => ({
  nodeId: `node-${number}`,
  namespace: 'demo',
  service: 'turn',
  desired: 'running',
  observed: healthy ? 'running' : 'failed',
  healthy,
  generation: 1,
  reason: null,
  details: {},
  sinceMs: NOW - forMs,
  reportedAtMs: NOW,
});
const record = (number: number, namespace = 'demo'): DnsRecordRow => ({
  fqdn: `turn.ns-${namespace}.orama.localhost`,
  type: 'A',
  value: `203.0.113.${number}`,
  ttlSec: 60,
  namespace,
  nodeId: `node-${number}`,
  createdBy: 'controlplane',
  createdAtMs: 1,
});
const situation = (overrides: Partial<DnsSituation>): DnsSituation => ({
  desired: joinDesired([settings('demo')], [turnRow('demo', 1), turnRow('demo', 2)]),
  reports: [report(1, true), report(2, true)],
  nodes: [node(1), node(2), node(3)],
  current: [],
  baseDomain: 'orama.localhost',
  standsForMs: ({ sinceMs }) => NOW - sinceMs,
  nowMs: NOW,
  ...overrides,
});
const values = (overrides: Partial<DnsSituation>) =>
  planDns(situation(overrides)).map(({ namespace, records }) => [namespace, records.map(({ value }) => value)]);

test('planDns gives one record per healthy TURN node, and nothing to do once they are there', () => {
  expect(values({})).toEqual([['demo', ['203.0.113.1', '203.0.113.2']]]);
  expect(values({ current: [record(1), record(2)] })).toEqual([]);
});

test('planDns waits for a TURN node that is not healthy yet, or healthy with an older generation', () => {
  expect(values({ reports: [report(1, true)] })).toEqual([['demo', ['203.0.113.1']]]);
  expect(values({ reports: [report(1, true), { ...report(2, true), generation: 0 }] })).toEqual([
    ['demo', ['203.0.113.1']],
  ]);
});

test('planDns keeps a node that takes up a newer generation, and adds one only once it has', () => {
  const older = { ...report(2, true), generation: 0 };
  expect(values({ current: [record(1), record(2)], reports: [report(1, true), older] })).toEqual([]);
});

test('planDns names both addresses of a node that has an IPv6 one', () => {
  const nodes = [{ ...node(1), publicIp6: '2001:db8::1' }, node(2)];
  const [change] = planDns(situation({ nodes }));
  expect(change?.records.map(({ type, value }) => `${type} ${value}`)).toEqual([
    'A 203.0.113.1',
    'AAAA 2001:db8::1',
    'A 203.0.113.2',
  ]);
  expect(values({ nodes, current: change?.records ?? [] })).toEqual([]);
});

test('planDns withdraws a node that is unreachable or long unhealthy, but not one that restarts just now', () => {
  const current = [record(1), record(2)];
  expect(values({ current, nodes: [node(1), node(2, false)] })).toEqual([['demo', ['203.0.113.1']]]);
  expect(values({ current, reports: [report(1, true), report(2, false)] })).toEqual([['demo', ['203.0.113.1']]]);
  expect(values({ current, reports: [report(1, true), report(2, false, 1_000)] })).toEqual([]);
});

test('planDns leaves the records as they are while no TURN node is healthy', () => {
  const current = [record(1), record(2)];
  expect(values({ current, reports: [report(1, false), report(2, false)] })).toEqual([]);
  expect(values({ current, nodes: [] })).toEqual([]);
});

test('planDns removes the records of a namespace that is disabled or gone', () => {
  const disabling = joinDesired([{ ...settings('demo'), state: 'disabling' }], [turnRow('demo', 1)]);
  expect(values({ current: [record(1)], desired: disabling })).toEqual([['demo', []]]);
  expect(values({ current: [record(1)], desired: joinDesired([], []) })).toEqual([['demo', []]]);
});

test('two TURN nodes behind one public address share a record', () => {
  const nodes = [node(1), { ...node(2), publicIp: '203.0.113.1' }];
  expect(values({ nodes })).toEqual([['demo', ['203.0.113.1']]]);
});

test('ZoneFileWriter writes the whole file, and tells a file that somebody else changed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'orama-zone-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'dns', 'zone.txt');
  const writer = new ZoneFileWriter(file);
  const records = [record(2), { ...record(1), type: 'AAAA' as const, value: '2001:db8::1' }];
  expect(await writer.isCurrent(records)).toBe(false);
  await writer.write(records);
  expect(readFileSync(file, 'utf8').split('\n').slice(1)).toEqual([
    'turn.ns-demo.orama.localhost. 60 IN A 203.0.113.2',
    'turn.ns-demo.orama.localhost. 60 IN AAAA 2001:db8::1',
    '',
  ]);
  expect(await writer.isCurrent([...records].reverse())).toBe(true);
  writeFileSync(file, formatZone([]).slice(0, 10));
  expect(await writer.isCurrent(records)).toBe(false);
});

test('planDns leaves the texts of a namespace alone, until it is disabled', () => {
  const text = {
    ...record(1),
    fqdn: '_acme-challenge.turn.ns-demo.orama.localhost',
    type: 'TXT' as const,
    value: 'proof',
  };
  expect(values({ current: [record(1), record(2), text] })).toEqual([]);
  expect(values({ current: [record(1), text] })).toEqual([['demo', ['203.0.113.1', '203.0.113.2', 'proof']]]);
  expect(values({ current: [text], desired: joinDesired([], []) })).toEqual([['demo', []]]);
});

test('formatZone quotes texts, in strings of at most 255 bytes', () => {
  const text = (value: string) => formatZone([{ fqdn: 'a.test', type: 'TXT', value, ttlSec: 1 }]).split('\n')[1];
  expect(text('say "a\\b";\n')).toBe('a.test. 1 IN TXT "say \\"a\\\\b\\";\\010"');
  expect(text('x'.repeat(256))).toBe(`a.test. 1 IN TXT "${'x'.repeat(255)}" "x"`);
});
