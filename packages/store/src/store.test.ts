import type { StoreConfig } from '@orama/protocol';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rqliteEngine, sqliteEngine } from '../testing/engines.ts';
import {
  connectStore,
  createStore,
  guard,
  guardLease,
  migrate,
  openStore,
  raiseChangeCounter,
  readChangeCounter,
  readMigrations,
  type Store,
  StoreConflictError,
  schemaVersion,
  splitScript,
} from './index.ts';

let config: StoreConfig;
let store: Store;

async function addNode(id: string, n: number): Promise<void> {
  await store.nodes.register({
    id,
    name: id,
    wireguardIp: `10.0.0.${n}`,
    publicIp: `203.0.113.${n}`,
    region: 'r',
    version: '1',
    lastSeenAtMs: 1,
  });
}
async function addNamespace(name: string): Promise<void> {
  await store.db.batch([store.namespaces.insert({ id: `id-${name}`, name, owner: 'o', createdAtMs: 1 })]);
}
/** Turns WebRTC on, as far as rooms ask for it. */
async function enable(namespace: string): Promise<void> {
  await addNamespace(namespace);
  await store.db.batch([
    store.webrtc.insert({
      namespace,
      turnSharedSecret: 'enc:x',
      turnCredentialTtlSec: 600,
      sfuNodeCount: 3,
      turnNodeCount: 2,
      turn: {
        peerPolicy: 'sfu',
        maxAllocations: 800,
        maxAllocationsPerUsername: 400,
        bytesPerSec: null,
        allocationBytesPerSec: null,
      },
      enabledBy: 'me',
      enabledAtMs: 1,
      generation: 1,
    }),
  ]);
}
const sfuRow = (nodeId: string, hostIp: string, namespace: string, signalingPort: number) => ({
  service: 'sfu' as const,
  nodeId,
  hostIp,
  namespace,
  signalingPort,
  mediaPortStart: 20000 + (signalingPort - 30000) * 500,
  mediaPortEnd: 20499 + (signalingPort - 30000) * 500,
  allocatedAtMs: 1,
});

describe.each([sqliteEngine(), rqliteEngine('127.90.1')])('on $name', (engine) => {
  beforeAll(() => engine.start());
  afterAll(() => engine.stop());
  beforeEach(async () => {
    config = await engine.fresh();
    store = createStore(await openStore(config));
  });
  afterEach(() => store.db.close());

  describe('migrations', () => {
    it('migrate() run from two connections applies every migration once', async () => {
      const empty = await engine.fresh();
      const [a, b] = [connectStore(empty), connectStore(empty)];
      const applied = await Promise.all([migrate(a), migrate(b)]);
      expect(applied.flat().sort((one, other) => one - other)).toEqual(
        readMigrations().map((migration) => migration.version),
      );
      expect(await schemaVersion(b)).toBe(readMigrations().length);
      await a.close();
      await b.close();
    });

    it('migrate() leaves no half of a migration that fails', async () => {
      const db = connectStore(await engine.fresh());
      const broken = [{ version: 1, name: 'broken', statements: ['CREATE TABLE one (a)', 'CREATE TABLE one (a)'] }];
      await expect(migrate(db, broken)).rejects.toThrow('already exists');
      expect(await schemaVersion(db)).toBe(0);
      expect(await db.query(`SELECT name FROM sqlite_master WHERE name = 'one'`)).toEqual([]);
      await db.close();
    });

    it('migrate() refuses a schema newer than the program', async () => {
      await store.db.batch([
        { sql: `INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, 'future', 0)` },
      ]);
      await expect(openStore(config)).rejects.toThrow(/schema 999/);
    });

    it('migrate() goes on from where another program was, and names a store of another one', async () => {
      const db = connectStore(await engine.fresh());
      const all = readMigrations();
      expect(await migrate(db, all.slice(0, 2))).toEqual([1, 2]);
      expect(await migrate(db)).toEqual(all.slice(2).map(({ version }) => version));
      const other = all.map((migration) => (migration.version === 2 ? { ...migration, name: 'other' } : migration));
      await expect(migrate(db, other)).rejects.toThrow('migration 2 of the store is');
      await db.close();
    });

    it('migrate() does not take a migration for applied whose own statements meet a constraint', async () => {
      const db = connectStore(await engine.fresh());
      const statements = ['CREATE TABLE one (a UNIQUE)', 'INSERT INTO one VALUES (1), (1)'];
      await expect(migrate(db, [{ version: 1, name: 'first', statements }])).rejects.toBeInstanceOf(StoreConflictError);
      expect(await schemaVersion(db)).toBe(0);
      await db.close();
    });
  });

  describe('batch', () => {
    it('applies all statements or none', async () => {
      await addNamespace('taken');
      const insert = (name: string) => store.namespaces.insert({ id: name, name, owner: 'o', createdAtMs: 1 });
      await expect(store.db.batch([insert('fresh'), insert('taken')])).rejects.toBeInstanceOf(StoreConflictError);
      expect((await store.namespaces.list()).map((row) => row.name)).toEqual(['taken']);
    });

    it('guard() refuses the whole batch when its condition is false, and leaves nothing when true', async () => {
      const touch = [raiseChangeCounter];
      const failed = store.db.batch([...touch, ...guard('never', '1 = ?', [2])]);
      await expect(failed).rejects.toMatchObject({ code: 'CONFLICT', byGuard: true });
      expect(await readChangeCounter(store.db)).toBe(0);
      await store.db.batch([...touch, ...guard('always', '1 = ?', [1])]);
      expect(await readChangeCounter(store.db)).toBe(1);
      expect(await store.db.query('SELECT * FROM batch_guards')).toEqual([]);
    });
  });

  describe('leases', () => {
    const seen = async () => (await store.leases.list()).find(({ name }) => name === 'dns');

    it('take() gives a free lease to one node, and a held one only while its row is as it was seen', async () => {
      const first = await store.leases.take('dns', 'node-1', undefined, 5);
      expect(first).toEqual({ name: 'dns', holder: 'node-1', generation: 1 });
      expect(await store.leases.take('dns', 'node-2', undefined, 5)).toBeNull();
      const row = await seen();
      expect(row).toEqual({ name: 'dns', holder: 'node-1', generation: 1, renewals: 0, sinceMs: 5 });
      if (first) await store.db.batch([store.leases.renew(first)]);
      expect(await store.leases.take('dns', 'node-2', row, 6)).toBeNull();
      const renewed = await seen();
      expect(await store.leases.take('dns', 'node-2', renewed, 7)).toMatchObject({ holder: 'node-2', generation: 2 });
      expect(await store.leases.take('dns', 'node-3', renewed, 7)).toBeNull();
      expect(await seen()).toMatchObject({ holder: 'node-2', renewals: 0, sinceMs: 7 });
    });

    it('renew() and release() change nothing once another node has the lease, and guardLease() refuses the batch', async () => {
      const old = await store.leases.take('dns', 'node-1', undefined, 0);
      await store.leases.take('dns', 'node-2', await seen(), 0);
      const row = await seen();
      if (!old) throw new Error('no lease');
      await expect(store.db.batch([...guardLease(old), raiseChangeCounter])).rejects.toMatchObject({ byGuard: true });
      expect(await readChangeCounter(store.db)).toBe(0);
      const results = await store.db.batch([store.leases.renew(old), store.leases.release(old)]);
      expect(results.map(({ changes }) => changes)).toEqual([0, 0]);
      expect(await seen()).toEqual(row);
    });

    it('release() leaves the lease without a holder, with its generation', async () => {
      const lease = await store.leases.take('dns', 'node-1', undefined, 0);
      if (!lease) throw new Error('no lease');
      await store.db.batch([store.leases.release(lease)]);
      expect(await seen()).toMatchObject({ holder: null, generation: 1 });
      expect(await store.leases.take('dns', 'node-2', await seen(), 0)).toMatchObject({ generation: 2 });
    });
  });

  describe('nodes', () => {
    const node = async () => (await store.nodes.list())[0];

    it('register() and heartbeat() raise the beats, and setReachable() takes nobody away who has beaten since', async () => {
      await addNode('node-1', 1);
      const first = await node();
      expect(first).toMatchObject({ reachable: false, beats: 0 });
      if (!first) throw new Error('no node');
      await store.db.batch([store.nodes.setReachable(first, true, 7)]);
      expect(await node()).toMatchObject({ reachable: true, reachableSinceMs: 7 });
      await store.db.batch([store.nodes.heartbeat('node-1', [], 1), store.nodes.setReachable(first, false, 8)]);
      expect(await node()).toMatchObject({ reachable: true, reachableSinceMs: 7, beats: 1 });
      await addNode('node-1', 1);
      expect(await node()).toMatchObject({ reachable: true, beats: 2 });
      await store.db.batch([store.nodes.setReachable({ id: 'node-1', beats: 2 }, false, 9)]);
      expect(await node()).toMatchObject({ reachable: false, reachableSinceMs: 9 });
    });
  });

  describe('port allocations', () => {
    it('insert() refuses a block that another namespace holds on the same address, also on another node', async () => {
      await Promise.all([addNode('node-1', 1), addNode('node-2', 2), addNamespace('a'), addNamespace('b')]);
      await store.db.batch([store.ports.insert(sfuRow('node-1', '10.0.0.1', 'a', 30000))]);
      await expect(
        store.db.batch([store.ports.insert(sfuRow('node-1', '10.0.0.1', 'b', 30000))]),
      ).rejects.toBeInstanceOf(StoreConflictError);
      await expect(
        store.db.batch([store.ports.insert(sfuRow('node-2', '10.0.0.1', 'b', 30000))]),
      ).rejects.toBeInstanceOf(StoreConflictError);
      await store.db.batch([store.ports.insert(sfuRow('node-2', '10.0.0.2', 'b', 30000))]);
      expect(await store.ports.listOf('a')).toEqual([sfuRow('node-1', '10.0.0.1', 'a', 30000)]);
    });

    it('a namespace with port rows cannot be deleted', async () => {
      await addNode('node-1', 1);
      await addNamespace('a');
      await store.db.batch([store.ports.insert(sfuRow('node-1', '10.0.0.1', 'a', 30000))]);
      await expect(store.db.batch(store.namespaces.remove('a'))).rejects.toBeInstanceOf(StoreConflictError);
    });
  });

  describe('rooms', () => {
    const place = (n: number) => ({ nodeId: `node-${n}`, internalIp: `10.0.0.${n}`, signalingPort: 30000 });

    it('claim() by two gateways at once leaves one winner that both see', async () => {
      await enable('a');
      const other = createStore(connectStore(config));
      const claims = await Promise.all([
        store.rooms.claim({ namespace: 'a', roomId: 'r', place: place(1), seenGeneration: null, nowMs: 1 }),
        other.rooms.claim({ namespace: 'a', roomId: 'r', place: place(2), seenGeneration: null, nowMs: 1 }),
      ]);
      expect(new Set(claims.map((row) => row?.place?.nodeId)).size).toBe(1);
      await other.db.close();
    });

    it('claim() moves a room only from the generation that was seen', async () => {
      await enable('a');
      const first = await store.rooms.claim({
        namespace: 'a',
        roomId: 'r',
        place: place(1),
        seenGeneration: null,
        nowMs: 1,
      });
      const moved = await store.rooms.claim({
        namespace: 'a',
        roomId: 'r',
        place: place(2),
        seenGeneration: first?.generation ?? 0,
        nowMs: 2,
      });
      expect(moved).toMatchObject({ place: { nodeId: 'node-2' }, generation: 2 });
      const late = await store.rooms.claim({
        namespace: 'a',
        roomId: 'r',
        place: place(3),
        seenGeneration: first?.generation ?? 0,
        nowMs: 3,
      });
      expect(late).toMatchObject({ place: { nodeId: 'node-2' }, generation: 2 });
    });

    it('claim() keeps the settings of a room that its owner created', async () => {
      await enable('a');
      expect(
        await store.rooms.create({
          namespace: 'a',
          roomId: 'r',
          maxParticipants: 2,
          maxSpeakers: 3,
          spread: true,
          metadata: { topic: 'x' },
          nowMs: 1,
        }),
      ).toBe(true);
      expect(
        await store.rooms.create({
          namespace: 'a',
          roomId: 'r',
          maxParticipants: 9,
          maxSpeakers: null,
          spread: false,
          metadata: null,
          nowMs: 1,
        }),
      ).toBe(false);
      const row = await store.rooms.claim({
        namespace: 'a',
        roomId: 'r',
        place: place(1),
        seenGeneration: 1,
        nowMs: 2,
      });
      expect(row).toMatchObject({
        maxParticipants: 2,
        maxSpeakers: 3,
        spread: true,
        metadata: { topic: 'x' },
        createdBy: 'api',
        place: { nodeId: 'node-1' },
      });
    });

    it('removeIdle() takes only rooms made by joining that stayed as they were seen, empty', async () => {
      await enable('a');
      const row = await store.rooms.claim({
        namespace: 'a',
        roomId: 'r',
        place: place(1),
        seenGeneration: null,
        nowMs: 100,
      });
      if (!row) throw new Error('not claimed');
      await store.db.batch([store.rooms.removeIdle({ ...row, generation: row.generation + 1 })]);
      // The clock of whoever is about to join is behind.
      expect(await store.rooms.touch(row, 50)).toBe(true);
      await store.db.batch([store.rooms.removeIdle(row)]);
      const touched = await store.rooms.get('a', 'r');
      if (!touched) throw new Error('removed');
      await store.db.batch([store.rooms.removeIdle(touched)]);
      expect(await store.rooms.get('a', 'r')).toBeNull();
    });

    it('claim() and create() leave no row behind once WebRTC is off', async () => {
      await addNamespace('a');
      expect(
        await store.rooms.claim({ namespace: 'a', roomId: 'r', place: place(1), seenGeneration: null, nowMs: 1 }),
      ).toBeNull();
      expect(
        await store.rooms.create({
          namespace: 'a',
          roomId: 'r',
          maxParticipants: 2,
          maxSpeakers: null,
          spread: false,
          metadata: null,
          nowMs: 1,
        }),
      ).toBe(false);
      expect(await store.rooms.listOf('a')).toEqual([]);
    });
  });

  describe('operations', () => {
    it('insert() refuses a second running operation of a namespace', async () => {
      const op = (id: string) =>
        store.operations.insert({
          id,
          kind: 'enable-webrtc',
          namespace: 'a',
          generation: 1,
          requestedBy: 'me',
          createdAtMs: 1,
        });
      await store.db.batch([op('one')]);
      await expect(store.db.batch([op('two')])).rejects.toBeInstanceOf(StoreConflictError);
      await store.db.batch([store.operations.finish('one', 'done', 2)]);
      await store.db.batch([op('two')]);
      expect((await store.operations.runningOf('a'))?.id).toBe('two');
    });

    it('updateStep() keeps the time a step began and never reopens a finished one', async () => {
      await store.db.batch([
        store.operations.insert({
          id: 'one',
          kind: 'enable-webrtc',
          namespace: 'a',
          generation: 1,
          requestedBy: 'me',
          createdAtMs: 1,
        }),
        store.operations.insertStep('one', 'dns', 0),
        store.operations.updateStep('one', 'dns', 'running', 'waiting for turn', 5),
        store.operations.updateStep('one', 'dns', 'running', 'writing', 6),
        store.operations.updateStep('one', 'dns', 'done', null, 7),
        store.operations.updateStep('one', 'dns', 'running', null, 8),
      ]);
      expect((await store.operations.get('one'))?.steps).toEqual([
        { name: 'dns', state: 'done', detail: null, startedAtMs: 5, finishedAtMs: 7 },
      ]);
    });
  });

  describe('service reports', () => {
    it('upsert() keeps `since` while the state stays the same', async () => {
      await enable('a');
      const report = {
        nodeId: 'n',
        namespace: 'a',
        service: 'sfu',
        desired: 'running' as const,
        generation: 1,
        reason: null,
        details: {},
      };
      await store.db.batch([store.reports.upsert({ ...report, observed: 'running', healthy: true, reportedAtMs: 1 })]);
      await store.db.batch([store.reports.upsert({ ...report, observed: 'running', healthy: true, reportedAtMs: 2 })]);
      expect(await store.reports.listOf('a')).toMatchObject([{ sinceMs: 1, reportedAtMs: 2 }]);
      await store.db.batch([store.reports.upsert({ ...report, observed: 'failed', healthy: false, reportedAtMs: 3 })]);
      expect(await store.reports.listOf('a')).toMatchObject([{ sinceMs: 3 }]);
    });
  });
});

it('splitScript() drops comments and keeps semicolons inside a line', () => {
  expect(splitScript(`-- a; comment\nCREATE TABLE a (b TEXT DEFAULT ';x');\n\nDELETE FROM a;\n`)).toEqual([
    `CREATE TABLE a (b TEXT DEFAULT ';x')`,
    'DELETE FROM a',
  ]);
});
