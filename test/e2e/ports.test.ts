import { EXIT } from '@orama/protocol';
import { LocalCluster, portBlocksOf, snapshotOf, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

let cluster: LocalCluster;
const ENABLE = ['--sfu-nodes', '1', '--turn-nodes', '1'];
const namespaces = Array.from({ length: 21 }, (_, index) => `tenant-${String(index + 1).padStart(2, '0')}`);

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 89, startOptions: ['--nodes', '1'] });
  for (const name of namespaces) await cluster.client.createNamespace(name);
});
afterAll(() => cluster?.stop());

test('a node takes 20 namespaces; the 21st is told which range is exhausted where, and nothing is written', async () => {
  const first = namespaces.slice(0, 20);
  const { client } = cluster;
  // As the command does, without a process for each.
  const started: string[] = [];
  for (const name of first) {
    const { operation } = await client.enableWebrtc(name, { sfuNodeCount: 1, turnNodeCount: 1 });
    if (operation) started.push(operation.id);
  }
  expect(started).toHaveLength(20);
  for (const id of started)
    await waitUntil(
      'a namespace to be enabled',
      () => client.operation(id),
      ({ state }) => state === 'done',
      { timeoutMs: 60_000 },
    );
  const blocks = first.flatMap((name) => portBlocksOf(cluster.databaseFile, name));
  expect(new Set(blocks.filter((b) => b.service === 'sfu').map((b) => b.mediaPorts?.[0])).size).toBe(20);

  const tables = ['namespace_webrtc_config', 'webrtc_port_allocations', 'dns_records', 'operations'];
  const before = snapshotOf(cluster.databaseFile, tables);
  const last = namespaces[20] as string;
  const refused = await cluster.run('namespace', 'enable', 'webrtc', '--namespace', last, ...ENABLE);
  expect(refused.code).toBe(EXIT.conflict);
  expect(refused.stderr).toContain('PORTS_EXHAUSTED');
  expect(refused.stderr).toMatch(/20000-29999|49152-65535/);
  expect(refused.stderr).toContain('node-1');
  expect(snapshotOf(cluster.databaseFile, tables)).toBe(before);
  expect((await cluster.status(last)).state).toBe('off');

  await cluster.orama('namespace', 'disable', 'webrtc', '--namespace', namespaces[6] as string);
  await cluster.orama('namespace', 'enable', 'webrtc', '--namespace', last, ...ENABLE);
  expect((await cluster.status(last)).healthy).toBe(true);
}, 300_000);
