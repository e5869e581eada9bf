import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster, type TestNode } from '../testing/cluster.ts';

/** Nodes that are drained, die and come back, with real controlplanes and stand-ins for the services. */
const TIMEOUT_MS = 150_000;
/** Ten seconds of its own, on a machine with nothing else to do. */
const FAILOVER = { timeoutMs: 45_000 };
let cluster: TestCluster;

beforeAll(async () => {
  cluster = new TestCluster('92.20', {}, 4);
  await cluster.start();
  await cluster.client.createNamespace('demo');
  await cluster.enable('demo');
}, TIMEOUT_MS);
afterAll(() => cluster?.stop());

const SFU = 'orama-namespace-sfu@demo';
const view = async (node: TestNode) => (await cluster.client.nodes()).find(({ id }) => id === node.id);
const placed = async (service: string) =>
  (await (await cluster.store()).ports.listTaken())
    .filter((row) => row.service === service && row.leavingSinceMs === null)
    .map(({ nodeId }) => nodeId)
    .sort();
/** The node of a service of `demo`. */
async function nodeOf(service: string): Promise<TestNode> {
  const [id] = await placed(service);
  return cluster.nodes.find((node) => node.id === id) as TestNode;
}
const whenDone = (id: string) =>
  waitUntil(
    'the operation to be done',
    () => cluster.client.operation(id),
    ({ state }) => state === 'done',
  );

test(
  'a drained node gives everything to others, ends its services and frees their blocks; resumed it takes part again',
  async () => {
    const node = await nodeOf('turn');
    const started = await cluster.client.drainNode(node.id, { deadlineMs: 1_000 });
    expect(started).toMatchObject({ outcome: 'started', operation: { kind: 'drain-node', node: node.id } });
    const steps = (started.operation?.steps ?? []).map(({ name }) => name);
    expect(steps).toEqual(['sfu:demo', 'turn:demo', 'turn-server'].filter((name) => steps.includes(name)));
    await whenDone(started.operation?.id ?? '');
    expect(await view(node)).toMatchObject({ state: 'draining', services: [], operation: null });
    expect(cluster.runFile(node, SFU)).toBeNull();
    expect(cluster.runFile(node, 'orama-turn')).toBeNull();
    expect((await placed('sfu')).length).toBe(3);
    expect((await placed('turn')).length).toBe(2);
    await cluster.waitState('demo', 'enabled');
    expect(existsSync(join(node.dataDir, 'namespaces', 'demo'))).toBe(false);
    const again = await cluster.client.drainNode(node.id);
    expect(again).toMatchObject({ outcome: 'unchanged', operation: null });

    // Started again meanwhile, for a new version say, it does not wait for the TURN server that is to stay down.
    await cluster.kill(node);
    cluster.startNode(node);
    await cluster.client.resumeNode(node.id);
    await waitUntil(
      'its TURN server to run again',
      () => view(node),
      (seen) => seen?.state === 'active' && seen.core.every(({ healthy }) => healthy),
      { timeoutMs: 15_000 },
    );
    // Nothing moves without need.
    expect(await view(node)).toMatchObject({ services: [] });
    const { db } = await cluster.store();
    const audit = await db.query<{ action: string; result: string }>(
      `SELECT action, result FROM audit WHERE action IN ('drain-node', 'resume-node', 'move') ORDER BY rowid`,
    );
    expect(audit.map(({ action }) => action)).toContain('move');
    expect(audit.filter(({ result }) => result === node.id).map(({ action }) => action)).toEqual([
      ...['drain-node', 'drain-node', 'resume-node'],
    ]);
  },
  TIMEOUT_MS,
);

test(
  'what a node that died had is taken over; it comes back to find it is no longer its own, and frees what it had',
  async () => {
    const node = await nodeOf('turn');
    const hadSfu = (await placed('sfu')).includes(node.id);
    const units = ['orama-gateway', 'orama-turn', ...(hadSfu ? [SFU] : [])];
    const pids = units.flatMap((unit) => cluster.runFile(node, unit)?.pid ?? []);
    await cluster.kill(node);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await waitUntil(
      'others to take over',
      () => placed('turn'),
      (nodes) => !nodes.includes(node.id) && nodes.length === 2,
      FAILOVER,
    );
    await waitUntil(
      'the TURN name to lead elsewhere',
      async () => (await cluster.client.webrtcStatus('demo')).dns,
      (dns) => dns.length === 2 && dns.every(({ value, served }) => served && value !== node.config.publicIp),
      FAILOVER,
    );
    const { turnUris } = await cluster.client.webrtcStatus('demo');
    expect(turnUris.join(' ')).not.toContain(node.config.publicIp);
    expect((await view(node))?.services.every(({ leaving }) => leaving)).toBe(true);
    const refused = await cluster.client.removeNode(node.id).catch((thrown: { code: string }) => thrown.code);
    expect(refused).toBe('CONFLICT');

    cluster.startNode(node);
    await waitUntil(
      'its blocks to be free',
      () => view(node),
      (seen) => seen?.alive === true && seen.services.length === 0,
      FAILOVER,
    );
    expect(cluster.runFile(node, SFU)).toBeNull();
    await cluster.waitState('demo', 'enabled');
  },
  TIMEOUT_MS,
);

test(
  'a node that is gone for good is removed by force, and a disable that waited for it comes to its end',
  async () => {
    const node = await nodeOf('sfu');
    const other = cluster.nodes.find(({ id }) => id !== node.id) as TestNode;
    const forced = (id: string) =>
      cluster.client.removeNode(id, { force: true }).catch((thrown: { code: string }) => thrown.code);
    expect(await forced(other.id)).toBe('CONFLICT');
    const pids = ['orama-gateway', 'orama-turn', SFU].flatMap((unit) => cluster.runFile(node, unit)?.pid ?? []);
    await cluster.kill(node);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    const { operation } = await cluster.client.disableWebrtc('demo');
    await waitFor('the node to be missed', async () => (await view(node))?.alive === false);
    expect((await cluster.client.operation(operation?.id ?? '')).state).toBe('running');
    expect(await forced(node.id)).toMatchObject({ outcome: 'changed' });
    await whenDone(operation?.id ?? '');
    expect(await (await cluster.store()).ports.listTaken()).toEqual([]);
    // A removed node that comes back after all is given nothing.
    cluster.startNode(node);
    await waitFor('it to be seen', async () => (await view(node))?.alive);
    expect(await view(node)).toMatchObject({ state: 'gone' });
    expect(await cluster.client.readmitNode(node.id)).toMatchObject({ outcome: 'changed' });
    expect(await view(node)).toMatchObject({ state: 'active' });
  },
  TIMEOUT_MS,
);
