import { isAlive, killNow, LocalCluster, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';

interface DevStatus {
  healthy: boolean;
  store: { nodes: { id: string; leader: boolean; reachable: boolean }[] };
}

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 200, startOptions: ['--store', 'rqlite'] });
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

it('"orama dev start" on its data keeps to its store', async () => {
  await cluster.orama('dev', 'stop');
  expect(cluster.processes()).toEqual([]);
  const other = await cluster.run('dev', 'start', '--detach', '--store', 'sqlite');
  expect(other.code).not.toBe(0);
  expect(other.output).toContain('has its data in rqlite');
  await cluster.startAgain();
  await cluster.waitHealthy('second');
});
