import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type ClusterState, clusterStateSchema } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { settings, sfuRow, turnRow } from '../../testing/rows.ts';
import { joinDesired } from '../reconcile/desired.ts';
import { planStateFiles } from '../tasks/state-files.ts';
import { readStateFiles, removeStateFile, stateOf, writeStateFile } from './state-file.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orama-state-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const own = testConfig('/var/lib/orama');
const desired = (state: 'enabled' | 'disabling' = 'enabled', node = 1) =>
  joinDesired([{ ...settings('demo', 'enc:abc'), state }], [sfuRow('demo', node), turnRow('demo', 2)]).get('demo');
const wanted = () =>
  stateOf(desired() as NonNullable<ReturnType<typeof desired>>, [], own) as Omit<ClusterState, 'saved_at'>;
const file = () => join(dir, 'demo', 'cluster_state.json');
const save = (changes: object = {}) =>
  writeStateFile(dir, { ...wanted(), saved_at: '2026-01-01T00:00:00.000Z', ...changes });
const planned = async () =>
  planStateFiles([wanted()], await readStateFiles(dir)).map((action) => `${action.kind} ${action.reason}`);

test('stateOf tells the ports of this node only, and no secret', () => {
  expect(wanted()).toMatchObject({
    cluster_id: 'test',
    namespace_name: 'demo',
    local_node_id: 'node-1',
    has_sfu: true,
    has_turn: false,
    turn_domain: 'turn.ns-demo.orama.localhost',
    sfu_signaling_port: 30_000,
    generation: 1,
  });
  expect(wanted()).not.toHaveProperty('turn_relay_port_start');
  expect(JSON.stringify(wanted())).not.toContain('enc:abc');
});

test('stateOf wants no file where the namespace has nothing, or is being disabled', () => {
  expect(stateOf(desired('enabled', 3) as never, [], own)).toBeNull();
  expect(stateOf(desired('disabling') as never, [], own)).toBeNull();
});

test('a state file is written whole with mode 0600 and is then left alone', async () => {
  expect(await planned()).toEqual(['state-file-write missing']);
  await save();
  expect(clusterStateSchema.parse(JSON.parse(readFileSync(file(), 'utf8')))).toMatchObject(wanted());
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(await planned()).toEqual([]);
});

test('a truncated, malformed, foreign or older file is repaired from the store', async () => {
  await save();
  const text = readFileSync(file(), 'utf8');
  for (const broken of ['', text.slice(0, text.length / 2), '[]', '{"version": 2}', '\0\0\0']) {
    writeFileSync(file(), broken);
    expect(await planned()).toEqual([expect.stringMatching(/^state-file-write unusable: /)]);
  }
  await save({ cluster_id: 'another' });
  expect(await planned()).toEqual(['state-file-write it belongs to cluster another']);
  await save({ generation: 0 });
  expect(await planned()).toEqual(['state-file-write it is of generation 0']);
  await save({ sfu_signaling_port: 30_001 });
  expect(await planned()).toEqual(['state-file-write the namespace changed']);
});

test('files of namespaces that are not here are removed; folders that are no namespace are not touched', async () => {
  await save();
  mkdirSync(join(dir, 'lost+found'));
  const found = await readStateFiles(dir);
  expect(planStateFiles([], found).map(({ kind, subject }) => `${kind} ${subject}`)).toEqual([
    'state-file-remove demo',
  ]);
  await removeStateFile(dir, 'demo');
  await removeStateFile(dir, 'demo');
  expect(await readStateFiles(dir)).toEqual([]);
  expect(statSync(dirname(join(dir, 'lost+found', 'x'))).isDirectory()).toBe(true);
});
