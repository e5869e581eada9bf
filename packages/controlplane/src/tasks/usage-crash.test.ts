import { waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../../testing/cluster.ts';
import { callHttp } from '../http-call.ts';
import { TURN_UNIT } from '../index.ts';
import { nodePaths } from '../node-context.ts';

const TIMEOUT_MS = 120_000;
let cluster: TestCluster;
beforeAll(async () => {
  cluster = new TestCluster('97.10', {}, 2);
  await cluster.start();
  await cluster.client.createNamespace('demo');
  await cluster.client.enableWebrtc('demo', { sfuNodeCount: 1, turnNodeCount: 2 });
  await cluster.waitState('demo', 'enabled');
}, TIMEOUT_MS);
afterAll(() => cluster.stop(), TIMEOUT_MS);

/** Lets the TURN server of a node have relayed so many bytes since it started, once it is there and has the tenant. */
async function relay(node: number, bytes: number): Promise<void> {
  const counters = { toPeerBytes: bytes, toPeerPackets: 1, toClientBytes: 0, toClientPackets: 0, allocations: 1 };
  const socketPath = nodePaths(cluster.node(node).dataDir).turnControlSocket;
  const body = JSON.stringify([{ namespace: 'demo', ...counters }]);
  await waitUntil(
    `node ${node} to have relayed ${bytes} bytes`,
    () =>
      callHttp({ socketPath }, 'PUT', '/usage', { body }).then(
        ({ status }) => status,
        () => null,
      ),
    (status) => status === 204,
  );
}
const used = async () => (await cluster.client.usage('demo')).total.relayed_bytes_in;
const waitUsed = (bytes: number) =>
  waitUntil(
    `${bytes} bytes to be counted`,
    () => {
      cluster.startProcesses();
      return used().catch(() => -1);
    },
    (counted) => counted === bytes,
  );

test(
  'every byte is counted once when controlplanes die before and after the commit, and TURN servers between',
  async () => {
    await relay(1, 1_000);
    await relay(2, 500);
    await waitUsed(1_500);

    cluster.arm('usage:before-commit');
    await relay(1, 2_000);
    await waitUsed(2_500);
    expect(cluster.isArmed('usage:before-commit')).toBe(false);

    cluster.arm('usage:after-commit');
    await relay(1, 3_000);
    await waitUsed(3_500);
    expect(cluster.isArmed('usage:after-commit')).toBe(false);
    await cluster.waitReady({ restarting: true });

    const former = cluster.runFile(cluster.node(1), TURN_UNIT)?.pid ?? 0;
    process.kill(former, 'SIGKILL');
    await waitUntil(
      'another TURN server to run',
      () => {
        cluster.startProcesses();
        return cluster.runFile(cluster.node(1), TURN_UNIT)?.pid;
      },
      (pid) => pid !== undefined && pid !== former,
    );
    await cluster.waitReady({ restarting: true });
    await relay(1, 10);
    await waitUsed(3_510);
  },
  TIMEOUT_MS,
);

test(
  'usage stays when WebRTC is disabled, and goes with the namespace',
  async () => {
    const before = await used();
    await cluster.disable('demo');
    expect(await used()).toBe(before);
    await cluster.client.deleteNamespace('demo');
    await expect(used()).rejects.toMatchObject({ code: 'NAMESPACE_NOT_FOUND' });
    const store = await cluster.store();
    expect(await store.db.query('SELECT * FROM usage')).toEqual([]);
  },
  TIMEOUT_MS,
);
