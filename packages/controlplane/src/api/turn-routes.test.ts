import { join } from 'node:path';
import { loadConfigFile, turnPassword } from '@orama/core';
import { sfuConfigSchema } from '@orama/protocol';
import { waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster, type TestNode } from '../../testing/cluster.ts';
import { TURN_UNIT } from '../index.ts';

const TIMEOUT_MS = 60_000;
let cluster: TestCluster;
beforeAll(async () => {
  cluster = new TestCluster('97.20', {}, 2);
  await cluster.start();
  await cluster.client.createNamespace('demo');
  await cluster.client.enableWebrtc('demo', { sfuNodeCount: 1, turnNodeCount: 2 });
  await cluster.waitState('demo', 'enabled');
}, TIMEOUT_MS);
afterAll(() => cluster.stop(), TIMEOUT_MS);

const turnPid = () => cluster.runFile(cluster.node(2), TURN_UNIT)?.pid;
/** Waits until node-2's TURN server is so, asked through node-1. */
const waitTurn = (what: string, accept: (turn: Awaited<ReturnType<typeof cluster.client.nodeTurn>>) => boolean) =>
  waitUntil(what, () => cluster.client.nodeTurn('node-2'), accept);
const waitHealthy = () =>
  waitUntil(
    'TURN of node-2 to be healthy',
    () => cluster.client.webrtcStatus('demo'),
    ({ healthy }) => healthy,
  );

const urisOf = (node: number) =>
  ['udp', 'tcp'].map((transport) => `turn:${cluster.node(node).config.publicIp}:3478?transport=${transport}`);
const SFU_UNIT = 'orama-namespace-sfu@demo';
const sfuNode = () => cluster.nodes.find((node) => cluster.runFile(node, SFU_UNIT) !== null);
const sfuPid = () => cluster.runFile(sfuNode() as TestNode, SFU_UNIT)?.pid;
/** What the configuration file of the SFU says. */
async function sfuTurnUris(): Promise<string[]> {
  const file = join(sfuNode()?.dataDir ?? '', 'configs', SFU_UNIT, 'config.json');
  return (await loadConfigFile(sfuConfigSchema, file)).turn.uris;
}

test('a question about a node is answered by that node, whichever controlplane is asked', async () => {
  expect(await cluster.client.nodeTurn('node-2')).toMatchObject({
    node: 'node-2',
    held: false,
    server: { draining: false },
    tenants: [{ namespace: 'demo', allocations: 0 }],
  });
  expect(await cluster.client.explainPeer('node-2', 'demo', '2001:db8::1', 20_000)).toEqual({
    allowed: false,
    rule: 'asked-for-2001:db8::1',
  });
});

test('a question that cannot be answered names what is wrong with it', async () => {
  await expect(cluster.client.nodeTurn('node-9')).rejects.toMatchObject({
    code: 'NOT_FOUND',
    hint: 'the nodes are node-1, node-2',
  });
  await expect(cluster.client.explainPeer('node-1', 'demo', 'nonsense')).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
    message: expect.stringContaining('ip'),
  });
  await expect(cluster.client.explainPeer('node-1', 'demo', '8.8.8.8', 70_000)).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
    message: expect.stringContaining('port'),
  });
});

test(
  'a drained TURN server ends and stays down until it is resumed',
  async () => {
    const begun = await cluster.client.drainTurn('node-2', { deadlineMs: 400 });
    expect(begun).toMatchObject({
      held: true,
      server: { draining: true, drainEndsAt: expect.stringMatching(/^20.*Z$/) },
    });
    await waitTurn('it to be gone', ({ server }) => server === null);
    await waitUntil(
      'the cluster to say why',
      async () => (await cluster.client.cluster()).nodes[1]?.core.find(({ service }) => service === 'turn')?.reason,
      (reason) => reason === 'drained; it serves again with "orama turn resume --node node-2"',
    );
    expect(turnPid()).toBeUndefined();
    await waitUntil(
      'the namespace to say why',
      () => cluster.client.webrtcStatus('demo'),
      ({ problems }) =>
        problems.some((problem) => problem.includes('turn on node-2 is not healthy: drained; it serves')),
    );
    const running = sfuPid();
    const left = urisOf(1);
    expect((await cluster.client.webrtcStatus('demo')).turnUris).toEqual(left);
    expect((await cluster.client.turnCredentials('demo')).uris).toEqual(left);
    await waitUntil('the SFU to lead clients to node-1 only', sfuTurnUris, (uris) => String(uris) === String(left));
    await cluster.client.resumeTurn('node-2');
    await waitTurn('it to run again', ({ server, held }) => server !== null && !held);
    await waitHealthy();
    const both = [...left, ...urisOf(2)].sort();
    expect((await cluster.client.turnCredentials('demo')).uris.sort()).toEqual(both);
    await waitUntil('the SFU to lead clients to both', sfuTurnUris, (uris) => String(uris?.sort()) === String(both));
    expect(sfuPid(), 'it was not restarted for that').toBe(running);
  },
  TIMEOUT_MS,
);

test(
  'a TURN server drained for a restart is followed by another one with the same tenants',
  async () => {
    const former = turnPid();
    await cluster.client.drainTurn('node-2', { deadlineMs: 400, restart: true });
    await waitTurn('another one to serve', ({ server, tenants }) => server?.draining === false && tenants.length === 1);
    expect(turnPid()).not.toBe(former);
    await waitHealthy();
  },
  TIMEOUT_MS,
);

test(
  'a drain outlives its controlplane: the server goes on draining with its tenants, ends, and stays down',
  async () => {
    await cluster.client.drainTurn('node-2', { deadlineMs: 60_000 });
    const [draining, former] = [await cluster.client.nodeTurn('node-2'), turnPid()];
    await cluster.kill(cluster.node(2));
    cluster.startProcesses();
    await waitUntil('the controlplane to answer', () => cluster.client.nodeTurn('node-2').catch(() => null), Boolean);
    expect(await cluster.client.nodeTurn('node-2')).toEqual(draining);
    expect(turnPid()).toBe(former);
    // A drain that was begun ends at the nearer deadline.
    await cluster.client.drainTurn('node-2', { deadlineMs: 200 });
    await waitTurn('it to be gone', ({ server, held }) => server === null && held);
    await cluster.client.resumeTurn('node-2');
    await waitHealthy();
  },
  TIMEOUT_MS,
);

test('turnCredentials() are those that clients get, and there are none while WebRTC is off', async () => {
  const { uris, username, password, ttl } = await cluster.client.turnCredentials('demo');
  expect(uris).toContain(`turn:${cluster.node(1).config.publicIp}:3478?transport=udp`);
  expect(username).toMatch(/^\d+:demo$/);
  expect(ttl).toBe(600);
  expect(password).toHaveLength(turnPassword('any secret', username).length);
  await cluster.client.createNamespace('plain');
  await expect(cluster.client.turnCredentials('plain')).rejects.toMatchObject({ code: 'WEBRTC_NOT_ENABLED' });
});
