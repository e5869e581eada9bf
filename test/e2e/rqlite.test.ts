import { join } from 'node:path';
import { isAlive, killNow, LocalCluster, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';

interface DevStatus {
  healthy: boolean;
  store: { nodes: { id: string; leader: boolean; reachable: boolean }[] };
}

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 49, startOptions: ['--store', 'rqlite'] });
});
afterAll(() => cluster.stop());

const status = () => cluster.json<DevStatus>('dev', 'status');

it('a local cluster on rqlite survives the kill of its store leader, and of all its rqlited at once', async () => {
  await cluster.createEnabled('first');
  const { store } = await status();
  expect(store.nodes).toMatchObject([{ reachable: true }, { reachable: true }, { reachable: true }]);
  const leader = cluster.numberOf(store.nodes.find((node) => node.leader)?.id ?? 'none');
  await killNow(cluster.storePid(leader));
  await cluster.orama('namespace', 'disable', 'webrtc', '--namespace', 'first');
  const restarted = () => [1, 2, 3].map((node) => cluster.storePid(node));
  await waitUntil('the rqlited that was killed to run again', restarted, (pids) => pids.every(isAlive));
  await Promise.all(restarted().map(killNow));
  await cluster.createEnabled('second');
  await waitUntil(
    'the cluster to be well',
    status,
    ({ healthy, store: { nodes } }) => healthy && nodes.every((node) => node.reachable),
  );
});

it('"orama store" checks it, backs it up, and takes it back to the backup', async () => {
  const backup = join(cluster.dataDir, 'store.backup');
  expect(await cluster.json('store', 'check')).toMatchObject({ driver: 'rqlite', problems: [] });
  await cluster.orama('store', 'backup', backup);
  await cluster.createNamespace('later');
  const refused = await cluster.run('store', 'restore', backup, '--replace');
  expect(refused).toMatchObject({ code: 6, output: expect.stringContaining('the store is in use') });
  await cluster.orama('store', 'restore', backup, '--replace', '--in-use');
  const names = await cluster.json<{ namespaces: { name: string }[] }>('namespace', 'list');
  expect(names.namespaces.map(({ name }) => name)).toEqual(['first', 'second']);
  await cluster.waitHealthy('second');
});

it('"orama dev start" on its data keeps to its store', async () => {
  await cluster.orama('dev', 'stop');
  expect(cluster.processes()).toEqual([]);
  const other = await cluster.run('dev', 'start', '--detach', '--store', 'sqlite');
  expect(other.code).not.toBe(0);
  expect(other.output).toContain('has its data in rqlite');
  await cluster.startAgain();
  await cluster.waitHealthy('second');
});
