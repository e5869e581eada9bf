import { EXIT, type NodeView } from '@orama/protocol';
import {
  type BrowserDriver,
  CallPage,
  LocalCluster,
  launchChromium,
  type NamespaceAccess,
  readDatabase,
  UNITS,
  waitUntil,
} from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kill } from '../support/kill.ts';

/** Nodes are upgraded one after the other, die, come back and join, while two browsers talk. */
const NAME = 'nodes';
const ROOM = 'upgrade';
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;
let pages: CallPage[];

beforeAll(async () => {
  [cluster, chromium] = await Promise.all([LocalCluster.start({ prefix: 102 }), launchChromium()]);
  access = await cluster.createEnabled(NAME);
  pages = await Promise.all(
    ['ann', 'bob'].map((name, index) => CallPage.join(chromium, access, { room: ROOM, name, node: index + 1 })),
  );
  await callGoesOn();
});
afterAll(async () => {
  await chromium?.close();
  await cluster?.stop();
});

const callGoesOn = () => Promise.all(pages.map((page) => page.waitMedia(1, { timeoutMs: 30_000 })));
const connections = () => Promise.all(pages.map(async (page) => (await page.stats()).connections));
const report = () => cluster.run('monitor', 'report');
const nodes = async () => (await cluster.json<{ nodes: NodeView[] }>('node', 'list')).nodes;

/** By its row: who asks the gateways waits for an SFU that is silent. */
function roomNode(): number {
  const find = 'SELECT sfu_node_id AS node FROM webrtc_rooms WHERE namespace = ? AND room_id = ?';
  const row = readDatabase(cluster.databaseFile, (db) => db.prepare(find).get(NAME, ROOM));
  return cluster.numberOf(String(row?.node));
}

test('a rolling upgrade: over every drain, restart and resume the call stays in its room and reconnects once a node at most', async () => {
  const operations = new Set<string>();
  for (const node of [1, 2, 3]) {
    const { id } = cluster.node(node);
    const before = await connections();
    const { operation } = await cluster.json<{ operation: { id: string; state: string } }>(
      ...['node', 'drain', id, '--deadline', '8'],
    );
    expect(operation.state).toBe('done');
    operations.add(operation.id);
    expect(cluster.services(node).map(({ unit }) => unit)).toEqual([UNITS.gateway]);
    await callGoesOn();
    // Only what nobody can take over is missing, and an operator wants it so.
    if (node === 1) await waitUntil('a report with warnings alone', report, ({ code }) => code === EXIT.warnings);
    process.kill(cluster.controlplanePid(node), 'SIGKILL');
    await cluster.orama('node', 'resume', id);
    await cluster.waitHealthy(NAME);
    await callGoesOn();
    const after = await connections();
    console.log(`${id}: ${after.map((count, index) => count - (before[index] ?? 0)).join(' and ')} reconnections`);
    for (const [index, count] of after.entries()) expect(count - (before[index] as number)).toBeLessThanOrEqual(1);
  }
  expect(operations.size).toBe(3);
});

test('a node that goes silent with the room and its TURN server: others take over, the pages rejoin by themselves; it comes back and frees what it had', async () => {
  const node = roomNode();
  const { id, publicIp } = cluster.node(node);
  // Nothing refuses a connection and nothing answers, as without power; but the gateway, which pages know no other of. Services lead process groups.
  const services = cluster.services(node).filter(({ unit }) => unit !== UNITS.gateway);
  const stopped = [cluster.controlplanePid(node), ...services.map(({ pid }) => -pid)];
  for (const each of stopped) process.kill(each, 'SIGSTOP');
  try {
    const diedAtMs = performance.now();
    const since = () => `${Math.round(performance.now() - diedAtMs)} ms`;
    const moved = waitUntil('the room to be elsewhere', roomNode, (seen) => seen !== node, { timeoutMs: 10_000 });
    await Promise.all([moved.then(() => console.log(`room elsewhere after ${since()}`)), callGoesOn()]);
    console.log(`both see and hear each other again after ${since()}`);
    const withdrawn = (text: string) => !text.includes(publicIp);
    await waitUntil('its DNS record to be withdrawn', () => cluster.zone(), withdrawn);
    console.log(`DNS record withdrawn after ${since()}`);
    const turnNodes = async () => {
      const { services } = await cluster.status(NAME);
      return services.filter((each) => each.service === 'turn' && each.healthy).map((each) => each.node);
    };
    const taken = (ids: string[]) => ids.length === 2 && !ids.includes(id);
    await waitUntil('two other TURN nodes', turnNodes, taken);
    console.log(`two other TURN nodes after ${since()}`);
  } finally {
    for (const each of stopped) kill(each, 'SIGCONT');
  }
  const own = async () => (await nodes()).find((each) => each.id === id);
  await waitUntil(
    'it to be back',
    own,
    (seen) => seen?.alive === true && seen.services.every(({ leaving }) => !leaving),
  );
  expect((await own())?.services.filter(({ service }) => service === 'turn')).toEqual([]);
  await cluster.waitHealthy(NAME);
  await callGoesOn();
});

test('a fourth node joins a cluster that runs, and may be drained and removed again', async () => {
  await cluster.orama('dev', 'add-node');
  expect((await nodes()).map(({ id, state, alive }) => [id, state, alive])).toContainEqual(['node-4', 'active', true]);
  const refused = await cluster.run('node', 'remove', 'node-4');
  expect(refused.stderr).toContain('orama node drain node-4');
  await cluster.orama('node', 'drain', 'node-4', '--deadline', '1');
  await cluster.orama('node', 'remove', 'node-4');
  const seen = (list: readonly { id?: string; node?: string }[]) => list.map(({ id, node }) => id ?? node);
  expect(seen(await nodes())).not.toContain('node-4');
  for (const command of [
    ['reconcile', '--dry-run'],
    ['turn', 'status'],
  ])
    expect(seen((await cluster.json<{ nodes: { node: string }[] }>(...command)).nodes)).toHaveLength(3);
  expect(await cluster.json('dev', 'status')).toMatchObject({ healthy: true, missing: [] });
});
