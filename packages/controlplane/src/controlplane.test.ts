import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { raiseChangeCounter } from '@orama/store';
import { waitFor, waitUntil } from '@orama/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { TestCluster, type TestNode } from '../testing/cluster.ts';
import { GATEWAY_UNIT, sfuUnit, TURN_UNIT } from './index.ts';

// Three real controlplane processes with stand-ins for gateway, TURN server and SFU.
const TIMEOUT_MS = 120_000;

let cluster: TestCluster;
/** A namespace of the test's own. */
let name: string;
let count = 0;

beforeAll(async () => {
  cluster = new TestCluster('83.30');
  await cluster.start();
}, TIMEOUT_MS);

beforeEach(async () => {
  name = `tenant${++count}`;
  await cluster.client.createNamespace(name);
});

afterEach(async () => {
  cluster.startProcesses();
  await cluster.waitReady();
  await cluster.disable(name);
}, TIMEOUT_MS);

afterAll(() => cluster.stop(), TIMEOUT_MS);

const pidOf = (node: TestNode, unit: string) => cluster.runFile(node, unit)?.pid ?? 0;
const unitsOf = (node: TestNode) =>
  globSync('*.json', { cwd: join(node.dataDir, 'run') })
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
/** Files and rows that carry the namespace's name, but for its own row and its key. */
async function traces(namespace: string): Promise<string[]> {
  const files = globSync('**/*', { cwd: cluster.dir }).filter((file) => file.includes(namespace));
  const { db, dns } = await cluster.store();
  const tables = ['namespace_webrtc_config', 'webrtc_port_allocations', 'webrtc_rooms', 'service_reports'];
  const rows = await Promise.all(
    tables.map(async (table) => (await db.query(`SELECT * FROM ${table} WHERE namespace = ?`, [namespace])).length),
  );
  const left = tables.filter((_, index) => rows[index] !== 0);
  if ((await dns.list()).some((record) => record.namespace === namespace)) left.push('dns_records');
  // Those of other nodes than the one that changed the records follow within a moment.
  await waitUntil(
    'every zone file to be without it',
    () => cluster.nodes.map(({ zoneFile }) => readFileSync(zoneFile, 'utf8')),
    (zones) => zones.every((zone) => !zone.includes(namespace)),
  );
  return [...files, ...left];
}

test(
  'enable brings everything up within seconds, and disable leaves nothing behind',
  async () => {
    const before = cluster.nodes.map(unitsOf);
    const { operation } = await cluster.client.enableWebrtc(name);
    await cluster.waitState(name, 'enabled');
    expect(await cluster.client.enableWebrtc(name)).toMatchObject({ outcome: 'unchanged' });
    const status = await cluster.client.webrtcStatus(name);
    expect(status.services.map(({ node, service }) => `${service} ${node}`)).toHaveLength(5);
    expect(status.dns.every((record) => record.served)).toBe(true);
    expect(status.turnUris).toContain(`turn:${cluster.node(1).config.publicIp}:3478?transport=udp`);
    const done = await cluster.client.operation(operation?.id ?? '');
    expect(done).toMatchObject({ state: 'done' });
    expect(done.steps.every((step) => step.state === 'done' && step.finishedAt !== undefined)).toBe(true);
    for (const node of cluster.nodes) {
      expect(unitsOf(node)).toEqual([GATEWAY_UNIT, sfuUnit(name), TURN_UNIT]);
      expect(existsSync(join(node.dataDir, 'namespaces', name, 'cluster_state.json'))).toBe(true);
    }
    const secret = readFileSync(join(cluster.node(1).dataDir, 'configs', sfuUnit(name), 'secret'), 'utf8').trim();
    const logs = cluster.nodes.map((node) => readFileSync(join(cluster.dir, `${node.id}.log`), 'utf8')).join('');
    expect(logs).not.toContain(secret);

    await cluster.disable(name);
    expect(await traces(name)).toEqual([]);
    expect(cluster.nodes.map(unitsOf)).toEqual(before);
    expect(await cluster.client.disableWebrtc(name)).toMatchObject({ outcome: 'unchanged' });
    await cluster.enable(name);
    expect((await cluster.client.webrtcStatus(name)).generation).toBe(2);
  },
  TIMEOUT_MS,
);

test(
  'a killed SFU and a killed TURN server are back and healthy within five seconds',
  async () => {
    await cluster.enable(name);
    for (const unit of [sfuUnit(name), TURN_UNIT]) {
      const [node] = cluster.nodes as [TestNode];
      const formerPid = pidOf(node, unit);
      const killedAt = performance.now();
      process.kill(formerPid, 'SIGKILL');
      await waitFor(`${unit} to run again`, () => ![0, formerPid].includes(pidOf(node, unit)));
      await waitUntil(
        'the namespace to be healthy',
        () => cluster.client.webrtcStatus(name),
        (status) => status.healthy && status.services.every((service) => service.healthy),
      );
      expect(performance.now() - killedAt).toBeLessThan(5_000);
    }
  },
  TIMEOUT_MS,
);

test(
  'a controlplane that is killed or stopped leaves its services running, and the next one adopts them',
  async () => {
    await cluster.enable(name);
    const node = cluster.node(2);
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const pids = unitsOf(node).map((unit) => pidOf(node, unit));
      await cluster.kill(node, signal);
      for (const pid of pids) process.kill(pid, 0);
      cluster.startNode(node);
      await cluster.waitReady();
      await cluster.waitState(name, 'enabled');
      expect(unitsOf(node).map((unit) => pidOf(node, unit))).toEqual(pids);
    }
  },
  TIMEOUT_MS,
);

test(
  'what dies while its controlplane is away is started again when the controlplane is back',
  async () => {
    await cluster.enable(name);
    const node = cluster.node(1);
    await cluster.kill(node);
    const formerPid = pidOf(node, sfuUnit(name));
    process.kill(formerPid, 'SIGKILL');
    cluster.startNode(node);
    await waitFor('the SFU to run again', () => ![0, formerPid].includes(pidOf(node, sfuUnit(name))));
    await cluster.waitState(name, 'enabled');
  },
  TIMEOUT_MS,
);

test(
  'after everything was killed at once, the namespace comes up from the store, whatever its state files say',
  async () => {
    await cluster.enable(name);
    const pids = cluster.nodes.flatMap((node) => unitsOf(node).map((unit) => pidOf(node, unit)));
    await Promise.all(cluster.nodes.map((node) => cluster.kill(node)));
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    const file = (node: TestNode) => join(node.dataDir, 'namespaces', name, 'cluster_state.json');
    const good = readFileSync(file(cluster.node(1)), 'utf8');
    writeFileSync(file(cluster.node(1)), good.slice(0, 40));
    writeFileSync(file(cluster.node(2)), readFileSync(file(cluster.node(2)), 'utf8').replace('"test"', '"another"'));
    await cluster.start();
    const seen = () =>
      cluster.nodes.map((node) => ({
        cluster: (JSON.parse(readFileSync(file(node), 'utf8')) as { cluster_id: string }).cluster_id,
        units: unitsOf(node).length,
      }));
    // What the store says of services is from before until the nodes have looked.
    const mended = (all: ReturnType<typeof seen>) =>
      all.every(({ cluster: id, units }) => id === 'test' && units === 3);
    await waitUntil('every node to have its file and its services', seen, mended);
    await cluster.waitState(name, 'enabled');
  },
  TIMEOUT_MS,
);

test(
  'an SFU that nobody wants is stopped once the store says so, with its files',
  async () => {
    await cluster.enable(name);
    const node = cluster.node(3);
    await cluster.kill(node);
    await cluster.client.disableWebrtc(name);
    const waiting = await waitUntil(
      'the disable to wait for the node that is away',
      () => cluster.client.webrtcStatus(name),
      (status) =>
        status.operation?.steps
          .filter((step) => step.state !== 'done')
          .every((step) => step.name.endsWith('node-3')) === true,
    );
    // Its block must not be given away: its SFU still runs.
    expect(waiting.state).toBe('disabling');
    expect(await (await cluster.store()).ports.listOf(name)).not.toEqual([]);
    cluster.startNode(node);
    await cluster.waitState(name, 'off');
    expect(await traces(name)).toEqual([]);
  },
  TIMEOUT_MS,
);

test(
  'three namespaces enabled and disabled at once get through, each with its own ports',
  async () => {
    const names = ['alpha', 'beta', 'gamma'];
    for (const one of names) await cluster.client.createNamespace(one);
    await Promise.all(names.map((one) => cluster.enable(one)));
    const statuses = await Promise.all(names.map((one) => cluster.client.webrtcStatus(one)));
    const ports = statuses.flatMap(({ services }) =>
      services.map(({ node, service, ports }) => `${node} ${service} ${ports}`),
    );
    expect(new Set(ports).size).toBe(ports.length);
    await Promise.all(names.map((one) => cluster.disable(one)));
    expect((await Promise.all(names.map(traces))).flat()).toEqual([]);
  },
  TIMEOUT_MS,
);

test(
  'an SFU that cannot start is tried again ever more slowly, and the status says why',
  async () => {
    const node = cluster.node(1);
    const { services } = node.config;
    if (services.manager !== 'processes') throw new Error('the cluster of this test runs processes');
    const broken = { ...services.programs, sfu: [process.execPath, '-e', 'process.exit(3)', '--'] };
    await cluster.reconfigure(node, { services: { ...services, programs: broken } });
    await cluster.waitReady();
    await cluster.client.enableWebrtc(name);
    const status = await waitUntil(
      'several crashes',
      () => cluster.client.webrtcStatus(name),
      ({ problems }) =>
        problems.some((problem) => /sfu on node-1 .*([3-9]|\d\d) times in a row, last with exit code 3/.test(problem)),
    );
    expect(status).toMatchObject({ state: 'enabling', healthy: false });
    await cluster.disable(name);
    expect(await traces(name)).toEqual([]);
    await cluster.reconfigure(node, { services });
  },
  TIMEOUT_MS,
);

test(
  'a secret that cannot be opened stops nothing, and holds up no other namespace',
  async () => {
    await cluster.client.createNamespace('sound');
    await cluster.enable(name);
    await cluster.enable('sound');
    const { db } = await cluster.store();
    const setSecret = (secret: string) =>
      db.batch([
        {
          sql: 'UPDATE namespace_webrtc_config SET turn_shared_secret = ? WHERE namespace = ?',
          params: [secret, name],
        },
        raiseChangeCounter,
      ]);
    const secret = (await (await cluster.store()).webrtc.get(name))?.turnSharedSecret ?? '';
    await setSecret('enc:damaged');
    const [node] = cluster.nodes as [TestNode];
    const former = { damaged: pidOf(node, sfuUnit(name)), sound: pidOf(node, sfuUnit('sound')) };
    process.kill(former.sound, 'SIGKILL');
    await waitFor('the sound SFU to run again', () => ![0, former.sound].includes(pidOf(node, sfuUnit('sound'))));
    expect(pidOf(node, sfuUnit(name))).toBe(former.damaged);
    process.kill(former.damaged, 'SIGKILL');
    await waitUntil(
      'the status to say why',
      () => cluster.client.webrtcStatus(name),
      ({ problems }) => problems.some((problem) => /sfu on node-1 .* secret cannot be opened/.test(problem)),
    );
    await setSecret(secret);
    await cluster.waitState(name, 'enabled');
    await cluster.disable('sound');
  },
  TIMEOUT_MS,
);

test(
  'a node that is asked nothing writes nothing but its heartbeat',
  async () => {
    await cluster.enable(name);
    const { db } = await cluster.store();
    const [counter] = await db.query('SELECT value FROM change_counter');
    const seen = async () => (await db.query<{ n: number }>('SELECT MIN(beats) AS n FROM nodes'))[0]?.n ?? 0;
    const before = await seen();
    await waitFor('four heartbeats of every node', async () => (await seen()) >= before + 4);
    expect(await db.query('SELECT value FROM change_counter')).toEqual([counter]);
  },
  TIMEOUT_MS,
);

test(
  'a node whose store cannot be reached starts its own services, says so once, and goes on when the store is there',
  async () => {
    const alone = new TestCluster('83.31', {}, 1);
    const node = alone.node(1);
    const blocked = join(alone.dir, 'store');
    writeFileSync(blocked, 'not a directory');
    try {
      await alone.reconfigure(node, { store: { driver: 'sqlite', file: join(blocked, 'store.sqlite') } });
      await waitFor('the core services to run', () => unitsOf(node).length === 2);
      await expect(alone.client.cluster()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true });
      rmSync(blocked);
      await alone.waitReady();
      const log = readFileSync(join(alone.dir, 'node-1.log'), 'utf8');
      expect(log.split('the store cannot be reached').length - 1).toBe(1);
      expect(log).toContain('the store can be reached again');
    } finally {
      await alone.stop();
    }
  },
  TIMEOUT_MS,
);
