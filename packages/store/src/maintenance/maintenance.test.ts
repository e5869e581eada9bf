import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoreConfig } from '@orama/protocol';
import BetterSqlite3 from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rqliteEngine, sqliteEngine } from '../../testing/engines.ts';
import {
  backupStore,
  checkStore,
  connectStore,
  createStore,
  migrate,
  openStore,
  readMigrations,
  restoreStore,
  type Store,
} from '../index.ts';

const sqlite = sqliteEngine();
const rqlite = rqliteEngine('127.90.6');
const newest = readMigrations().length;
const replaceAll = { replace: true, inUse: true };
const neither = { replace: false, inUse: false };
let dir: string;

beforeAll(() => Promise.all([sqlite.start(), rqlite.start()]));
afterAll(() => Promise.all([sqlite.stop(), rqlite.stop()]));
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orama-maintenance-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const file = (name = 'backup') => join(dir, name);

/** Opens a store and puts a node and namespaces into it. */
async function fill(config: StoreConfig, ...namespaces: string[]): Promise<Store> {
  const store = createStore(await openStore(config));
  await store.nodes.register({
    id: 'node-1',
    name: 'node-1',
    wireguardIp: '10.0.0.1',
    publicIp: '203.0.113.1',
    region: 'r',
    version: '1',
    lastSeenAtMs: 1,
  });
  await store.db.batch(
    namespaces.map((name) => store.namespaces.insert({ id: name, name, owner: 'o', createdAtMs: 1 })),
  );
  return store;
}

/** What namespaces a store has, by a connection of its own. */
async function namesIn(config: StoreConfig): Promise<string[]> {
  const store = createStore(await openStore(config));
  const rows = await store.namespaces.list();
  await store.db.close();
  return rows.map(({ name }) => name);
}

/** A backup of a store with these namespaces, in the folder of the test. */
async function backupOf(...namespaces: string[]): Promise<string> {
  const config = await sqlite.fresh();
  const store = await fill(config, ...namespaces);
  await backupStore(config, file());
  await store.db.close();
  return file();
}

describe.each([
  [sqlite, sqlite],
  [sqlite, rqlite],
  [rqlite, sqlite],
  [rqlite, rqlite],
])('from $name', (from, to) => {
  it(`backupStore() and restoreStore() carry every row to ${to.name}`, async () => {
    const source = await from.fresh();
    const store = await fill(source, 'a', 'b');
    expect(await backupStore(source, file())).toMatchObject({ schemaVersion: newest, namespaces: 2, nodes: 1 });
    await store.db.close();
    const target = await to.fresh();
    expect(await restoreStore(target, file(), neither)).toMatchObject({ schemaVersion: newest, namespaces: 2 });
    expect(await namesIn(target)).toEqual(['a', 'b']);
    expect((await checkStore(target)).problems).toEqual([]);
  });
});

describe.each([sqlite, rqlite])('on $name', (engine) => {
  it('restoreStore() loses what a store holds only when told so, and not under nodes that write', async () => {
    const backup = await backupOf('old');
    const config = await engine.fresh();
    const store = await fill(config, 'new');
    await expect(restoreStore(config, backup, neither)).rejects.toMatchObject({ code: 'CONFLICT' });
    const beating = restoreStore(config, backup, {
      replace: true,
      inUse: false,
      watchMs: 1,
      onWatch: async () => void (await store.db.batch([store.nodes.heartbeat('node-1', [], 1)])),
    });
    await expect(beating).rejects.toThrow('in use');
    expect(await namesIn(config)).toEqual(['new']);
    await restoreStore(config, backup, { replace: true, inUse: false, watchMs: 1 });
    expect(await namesIn(config)).toEqual(['old']);
    // Programs that had the store open go on with what it holds now.
    await store.db.batch([store.namespaces.insert({ id: 'x', name: 'x', owner: 'o', createdAtMs: 1 })]);
    expect((await store.namespaces.list()).map(({ name }) => name)).toEqual(['old', 'x']);
    await store.db.close();
  });

  it('restoreStore() brings an older schema up to date', async () => {
    const old = connectStore({ driver: 'sqlite', file: file('old') });
    await migrate(old, readMigrations().slice(0, 5));
    await old.close();
    await backupStore({ driver: 'sqlite', file: file('old') }, file());
    const config = await engine.fresh();
    expect(await restoreStore(config, file(), neither)).toMatchObject({ schemaVersion: newest });
    expect((await checkStore(config)).problems).toEqual([]);
  });

  it('checkStore() names every row that breaks what the programs rely on', async () => {
    const config = await engine.fresh();
    const { db } = await fill(config, 'a', 'b');
    const port = (namespace: string, service: string, column: string, start: number, end: number) => ({
      sql: `INSERT INTO webrtc_port_allocations (node_id, host_ip, namespace, service_type, ${column}_start, ${column}_end, allocated_at)
            VALUES ('node-1', '10.0.0.1', ?, ?, ?, ?, 1)`,
      params: [namespace, service, start, end],
    });
    await db.batch([
      port('a', 'sfu', 'sfu_media_port', 20_000, 20_499),
      port('b', 'sfu', 'sfu_media_port', 20_499, 20_998),
      port('a', 'turn', 'turn_relay_port', 50_000, 50_799),
      port('b', 'turn', 'turn_relay_port', 20_998, 50_000),
      {
        sql: `INSERT INTO webrtc_rooms (namespace, room_id, sfu_node_id, created_at, last_activity) VALUES ('a', 'r', 'node-9', 1, 1)`,
      },
      {
        sql: `INSERT INTO operations (id, kind, namespace, generation, requested_by, created_at) VALUES ('op', 'enable-webrtc', 'a', 1, 'o', 1)`,
      },
      { sql: `UPDATE nodes SET core_status = '[{' WHERE id = 'node-1'` },
      { sql: `INSERT INTO batch_guards (name, ok) VALUES ('left', 1)` },
      { sql: 'DELETE FROM change_counter' },
    ]);
    const { problems } = await checkStore(config);
    expect(new Set(problems.map(({ check }) => check))).toEqual(
      new Set([
        ...[
          'sfu-ports',
          'turn-ports',
          'sfu-and-turn-ports',
          'allocations',
          'rooms',
          'room-nodes',
          'operations',
          'json',
        ],
        ...['guards', 'change-counter'],
      ]),
    );
    expect(problems.find(({ check }) => check === 'json')?.detail).toBe('core_status of "node-1" in nodes is no JSON');
    expect(problems.find(({ check }) => check === 'sfu-ports')?.detail).toBe(
      'SFU media ports 20000-20499 of a on node-1 overlap 20499-20998 of b on node-1',
    );
    await db.close();
  });

  it('checkStore() tells of a schema that is older, or newer, and looks no further', async () => {
    const config = await engine.fresh();
    const db = connectStore(config);
    await migrate(db, readMigrations().slice(0, 5));
    expect((await checkStore(config)).problems).toMatchObject([
      { check: 'schema', detail: expect.stringContaining('brings it') },
    ]);
    await migrate(db);
    await db.batch([{ sql: `INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, 'future', 0)` }]);
    expect((await checkStore(config)).problems).toMatchObject([
      { check: 'schema', detail: expect.stringContaining('999') },
    ]);
    await db.close();
  });
});

it('backupStore() writes for the owner only, over no other file, and leaves nothing when it fails', async () => {
  await backupOf('a');
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(['backup']);
  await expect(backupStore(await rqlite.fresh(), file())).rejects.toMatchObject({ code: 'CONFLICT' });
  await expect(backupStore(await sqlite.fresh(), file('none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(backupStore(await rqlite.fresh(), file('empty'))).rejects.toThrow('no store of Orama');
  expect(readdirSync(dir)).toEqual(['backup']);
});

it('restoreStore() takes no file that is damaged, foreign or newer, and leaves the store as it was', async () => {
  const config = await sqlite.fresh();
  await (await fill(config, 'kept')).db.close();
  const bytes = readFileSync(await backupOf('a', 'b'));
  writeFileSync(file('half'), bytes.subarray(0, bytes.length / 2));
  writeFileSync(file('text'), 'no database');
  const foreign = new BetterSqlite3(file('foreign'));
  foreign.exec('CREATE TABLE something (a)');
  foreign.close();
  const future = new BetterSqlite3(file());
  future.exec(`INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, 'future', 0)`);
  future.close();
  for (const name of ['half', 'text', 'foreign', 'missing']) {
    await expect(restoreStore(config, file(name), replaceAll)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  }
  await expect(restoreStore(config, file(), replaceAll)).rejects.toThrow('schema 999');
  expect(await namesIn(config)).toEqual(['kept']);
});

it('restoreStore() puts a store that nobody can read aside, when told so, and checkStore() says that it is damaged', async () => {
  const backup = await backupOf('saved');
  const store = join(dir, 'broken.sqlite');
  const config: StoreConfig = { driver: 'sqlite', file: store };
  await (await fill(config, 'lost')).db.close();
  const rest = readFileSync(store).subarray(100);
  for (const bytes of [Buffer.alloc(20_000, 7), Buffer.concat([readFileSync(store).subarray(0, 100), rest.fill(7)])]) {
    writeFileSync(store, bytes);
    expect((await checkStore(config)).problems).toMatchObject([{ check: 'integrity' }]);
    await expect(restoreStore(config, backup, neither)).rejects.toMatchObject({ code: 'CONFLICT', message: /damaged/ });
    await restoreStore(config, backup, { replace: true, inUse: false });
    expect(await namesIn(config)).toEqual(['saved']);
    expect((await checkStore(config)).problems).toEqual([]);
    const [aside = ''] = readdirSync(dir).filter((name) => name.includes('.damaged-'));
    expect(readFileSync(join(dir, aside))).toEqual(bytes);
    rmSync(join(dir, aside));
  }
});

it('checkStore() tells the leader of an rqlite cluster, and how far each copy is', async () => {
  const config = await rqlite.fresh();
  await (await fill(config, 'a')).db.close();
  const { nodes } = await checkStore(config);
  expect(nodes.map(({ id, reachable }) => ({ id, reachable }))).toEqual(
    ['node-0', 'node-1', 'node-2'].map((id) => ({ id, reachable: true })),
  );
  expect(nodes.filter(({ leader }) => leader).length).toBe(1);
  expect(nodes.every(({ appliedIndex }) => (appliedIndex ?? 0) > 0)).toBe(true);
});
