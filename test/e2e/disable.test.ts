import { EXIT, type TurnCredentials } from '@orama/protocol';
import {
  imageOf,
  LocalCluster,
  leftoversOf,
  portBlocksOf,
  readDatabase,
  rowsOf,
  snapshotOf,
  waitUntil,
} from '@orama/testkit';
import { turnServersOf } from '@orama/turn/bridge';
import { TurnClient } from '@orama/turn/client';
import { afterAll, beforeAll, expect, test } from 'vitest';

let cluster: LocalCluster;
/** So many processes start slowly where others have work to do, too. */
const MANY_MS = 100_000;
const STATE = ['namespace_webrtc_config', 'webrtc_port_allocations', 'dns_records', 'operations', 'namespaces'];

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 90 });
  await cluster.createEnabled('stays');
});
afterAll(() => cluster?.stop());

test('disable leaves no process, tenant, socket, row, record or file of the namespace, and its neighbour untouched', async () => {
  const access = await cluster.createEnabled('goes');
  const blocks = portBlocksOf(cluster.databaseFile, 'goes');
  expect(blocks).toHaveLength(5);
  // What is to vanish is seen first: otherwise the look would prove nothing.
  const before = (await leftoversOf(cluster, 'goes', blocks)).join('\n');
  for (const kind of ['process', 'unit', 'TURN tenant', 'socket', 'rows in', 'file', 'record'])
    expect(before).toContain(kind);
  const neighbour = [1, 2, 3].map((node) => cluster.pidOf(node, 'orama-namespace-sfu@stays'));

  const { output } = await cluster.orama('namespace', 'disable', 'webrtc', '--namespace', 'goes');
  expect(output).toContain('goes');
  expect(await leftoversOf(cluster, 'goes', blocks)).toEqual([]);
  expect(rowsOf(cluster.databaseFile, 'goes')).toEqual({});
  expect(await cluster.zone()).not.toContain('goes');

  expect((await cluster.gateway(access, 'POST', '/v1/webrtc/turn/credentials')).body).toMatchObject({
    error: { code: 'WEBRTC_NOT_ENABLED' },
  });
  expect([1, 2, 3].map((node) => cluster.pidOf(node, 'orama-namespace-sfu@stays'))).toEqual(neighbour);
  expect((await cluster.status('stays')).healthy).toBe(true);

  await cluster.orama('namespace', 'delete', 'goes');
  const { code } = await cluster.run('namespace', 'webrtc-status', '--namespace', 'goes');
  expect(code).toBe(EXIT.notFound);
});

/** Resolves when every node has shown twice more that it lives: what it does at rest it has done meanwhile. */
async function nodesHaveRested(): Promise<void> {
  const beats = () =>
    readDatabase(cluster.databaseFile, (db) => db.prepare('SELECT beats FROM nodes ORDER BY id').all()).map((row) =>
      Number(row.beats),
    );
  const before = beats();
  await waitUntil('two heartbeats of every node', beats, (now) =>
    now.every((count, node) => count >= (before[node] as number) + 2),
  );
}

const waitOff = (name: string) =>
  waitUntil(
    `${name} to be off`,
    () => cluster.status(name),
    ({ state }) => state === 'off',
    { timeoutMs: MANY_MS },
  );

test('15 namespaces enabled at once, then disabled at once, leave the store and the nodes byte for byte as they were, history aside', async () => {
  const names = [...'abcdefghijklmno'].map((letter) => `tenant-${letter}`);
  for (const name of names) await cluster.client.createNamespace(name);
  const before = await imageOf(cluster);

  // One SFU each: with three the starts of the processes alone would take half a minute.
  const { client } = cluster;
  await Promise.all(names.map((name) => client.enableWebrtc(name, { sfuNodeCount: 1 })));
  for (const name of names) await cluster.waitHealthy(name, MANY_MS);
  const enabled = await imageOf(cluster);
  for (const name of names) {
    for (const kind of ['process', 'file', 'row of webrtc_port_allocations', 'row of dns_records', 'TURN tenant'])
      expect(enabled.some((line) => line.startsWith(kind) && line.includes(name))).toBe(true);
  }
  await Promise.all(names.map((name) => client.disableWebrtc(name)));
  for (const name of names) await waitOff(name);
  expect(await imageOf(cluster)).toEqual(before);
  await nodesHaveRested();
  expect(await imageOf(cluster)).toEqual(before);
}, 240_000);

test('enabling twice and disabling twice say so plainly and change nothing', async () => {
  await cluster.createEnabled('twice');
  const pids = [1, 2, 3].map((node) => cluster.pidOf(node, 'orama-namespace-sfu@twice'));
  const enabled = snapshotOf(cluster.databaseFile, STATE);
  const again = await cluster.orama('namespace', 'enable', 'webrtc', '--namespace', 'twice');
  expect(again.output).toMatch(/already enabled/);
  expect(snapshotOf(cluster.databaseFile, STATE)).toBe(enabled);
  expect([1, 2, 3].map((node) => cluster.pidOf(node, 'orama-namespace-sfu@twice'))).toEqual(pids);

  await cluster.orama('namespace', 'disable', 'webrtc', '--namespace', 'twice');
  const disabled = snapshotOf(cluster.databaseFile, STATE);
  const twice = await cluster.orama('namespace', 'disable', 'webrtc', '--namespace', 'twice');
  expect(twice.output).toMatch(/not enabled|already disabled/);
  expect(snapshotOf(cluster.databaseFile, STATE)).toBe(disabled);
});

test('a namespace with WebRTC on cannot be deleted', async () => {
  const before = snapshotOf(cluster.databaseFile, STATE);
  const { code, stderr } = await cluster.run('namespace', 'delete', 'stays');
  expect(code).toBe(EXIT.conflict);
  expect(stderr).toContain('NAMESPACE_HAS_WEBRTC');
  expect(snapshotOf(cluster.databaseFile, STATE)).toBe(before);
});

test('enabling again after a disable gives a fresh secret: credentials of the earlier life are refused', async () => {
  const access = await cluster.createEnabled('reborn');
  const fetchCredentials = async () =>
    (await cluster.gateway(access, 'POST', '/v1/webrtc/turn/credentials')).body as TurnCredentials;
  const open = ({ uris, username, password }: TurnCredentials) =>
    TurnClient.open({ transport: 'udp', server: turnServersOf(uris, 'udp')[0], username, password });
  const old = await fetchCredentials();
  await (await open(old).then((client) => client.allocate().then(() => client))).close();
  await cluster.orama('namespace', 'disable', 'webrtc', '--namespace', 'reborn');
  await cluster.orama('namespace', 'enable', 'webrtc', '--namespace', 'reborn');
  const credentials = await fetchCredentials();
  const [stale, fresh] = [
    await open({ ...credentials, username: old.username, password: old.password }),
    await open(credentials),
  ];
  await expect(stale.allocate()).rejects.toMatchObject({ code: 401 });
  await fresh.allocate();
  await Promise.all([stale.close(), fresh.close()]);
});

test('"orama dev stop" ends every process, and a second one says that nothing ran', async () => {
  const own = await LocalCluster.start({ prefix: 95 });
  await own.createEnabled('short');
  expect(own.processes().length).toBeGreaterThanOrEqual(3 * 4);
  await own.orama('dev', 'stop');
  expect(own.processes()).toEqual([]);
  const { output } = await own.orama('dev', 'stop');
  expect(output).toMatch(/no cluster ran/);
  await own.stop();
});
