import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@orama/core';
import { CertificateAuthority, RqliteNodes, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LossyProxy } from '../../testing/lossy-proxy.ts';
import {
  checkStore,
  guard,
  migrate,
  openStore,
  RqliteDatabase,
  readMigrations,
  StoreConflictError,
  StoreUnavailableError,
  schemaVersion,
} from '../index.ts';

/** Enough for elections on a machine that is busy with other tests. */
const PATIENT_MS = 25_000;

const connect = (addresses: [string, ...string[]], timeoutMs = PATIENT_MS) =>
  new RqliteDatabase({ addresses, timeoutMs });
const count = async (db: RqliteDatabase) =>
  (await db.query<{ n: number }>('SELECT n FROM counter WHERE id = 1'))[0]?.n ?? Number.NaN;
const increment = { sql: 'UPDATE counter SET n = n + 1 WHERE id = 1' };

describe('three rqlited', () => {
  let nodes: RqliteNodes;
  let db: RqliteDatabase;

  beforeAll(async () => {
    nodes = await RqliteNodes.start({ prefix: await RqliteNodes.freePrefix('127.90.2') });
    db = connect(nodes.addresses);
    await db.batch([{ sql: 'CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)' }]);
  });
  afterAll(async () => {
    await db.close();
    await nodes.close();
  });
  beforeEach(async () => {
    await db.batch([{ sql: 'DELETE FROM counter' }, { sql: 'INSERT INTO counter (id, n) VALUES (1, 0)' }]);
  });

  it('query() gives integers back exactly, and refuses one that JavaScript cannot hold', async () => {
    const numbers = [0, -1, 1_732_224_000_123, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    await db.batch(
      numbers.map((n, id) => ({ sql: 'INSERT INTO counter (id, n) VALUES (?, ?)', params: [id + 10, n] })),
    );
    const rows = await db.query<{ n: number }>('SELECT n FROM counter WHERE id >= 10 ORDER BY id');
    expect(rows.map(({ n }) => n)).toEqual(numbers);
    await expect(db.query('SELECT 9007199254740993 AS n')).rejects.toThrow('beyond 2^53');
  });

  it('query() gives text, null and fractions back as they were, whatever stands in them', async () => {
    const params = [`é'";-- \u0000 ☎`, null, 0.1];
    expect(await db.query('SELECT ? AS a, ? AS b, ? AS c', params)).toEqual([{ a: params[0], b: null, c: 0.1 }]);
  });

  it.each(['strong', 'weak', 'none'] as const)('query() at level %s is answered by way of any node', async (level) => {
    for (const address of nodes.addresses) {
      const one = connect([address]);
      expect(await one.query('SELECT id FROM counter WHERE id = 1', [], level)).toEqual([{ id: 1 }]);
      await one.close();
    }
  });

  it('batch() that is sent to a follower is led to the leader', async () => {
    const leader = await nodes.newLeader();
    const follower = connect([nodes.addresses[(leader + 1) % 3] as string]);
    expect(await follower.batch([increment, increment])).toEqual([{ changes: 1 }, { changes: 1 }]);
    expect(await count(follower)).toBe(2);
    await follower.close();
  });

  it('migrate() by programs of two versions, while the leader is killed, applies every migration once', async () => {
    const all = readMigrations();
    const programs = [all, all.slice(0, 4), all].map((migrations) => ({ migrations, db: connect(nodes.addresses) }));
    const leader = await nodes.newLeader();
    const running = Promise.allSettled(programs.map((program) => migrate(program.db, program.migrations)));
    await waitUntil(
      'a first migration',
      () => schemaVersion(db),
      (version) => version > 0,
      { intervalMs: 1 },
    );
    await nodes.kill(leader);
    const [one, older, other] = await running;
    expect([one?.status, other?.status]).toEqual(['fulfilled', 'fulfilled']);
    // It may have come too late; then it says so, and has changed nothing.
    if (older?.status === 'rejected') expect(String(older.reason)).toContain('this program knows up to 4');
    const rows = await db.query<{ version: number }>('SELECT version FROM schema_migrations ORDER BY version');
    expect(rows).toEqual(all.map(({ version }) => ({ version })));
    await Promise.all(programs.map((program) => program.db.close()));
    nodes.start(leader);
    await nodes.ready(leader);
  });

  it('batch() whose answer is lost is applied once, and says what it changed', async () => {
    const proxy = new LossyProxy(nodes.addresses[await nodes.newLeader()] as string);
    const lossy = connect([await proxy.listen()]);
    proxy.fates.push('lose-answer', 'lose-answer');
    const none = { sql: 'UPDATE counter SET n = 7 WHERE id = ?', params: [99] };
    expect(await lossy.batch([increment, none, increment])).toEqual([{ changes: 1 }, { changes: 0 }, { changes: 1 }]);
    expect(await count(db)).toBe(2);
    await lossy.close();
    await proxy.close();
  });

  it('batch() whose answer is lost does not meet itself as a conflict', async () => {
    const proxy = new LossyProxy(nodes.addresses[await nodes.newLeader()] as string);
    const lossy = connect([await proxy.listen()]);
    proxy.fates.push('lose-answer');
    const unique = { sql: 'INSERT INTO counter (id, n) VALUES (5, 5)' };
    expect(await lossy.batch([unique])).toEqual([{ changes: 1 }]);
    await expect(lossy.batch([unique])).rejects.toBeInstanceOf(StoreConflictError);
    await lossy.close();
    await proxy.close();
  });

  it('batch() that was refused is not applied by an attempt of it that arrives later', async () => {
    const proxy = new LossyProxy(nodes.addresses[await nodes.newLeader()] as string);
    const lossy = connect([await proxy.listen()], 8_000);
    proxy.fates.push('hold');
    const guarded = [...guard('the counter is 1', '(SELECT n FROM counter WHERE id = 1) = 1'), increment];
    await expect(lossy.batch(guarded)).rejects.toMatchObject({ code: 'CONFLICT', byGuard: true });
    await db.batch([increment]);
    expect(await proxy.release()).toContain('UNIQUE constraint failed: rqlite_batches.id');
    expect(await count(db)).toBe(1);
    await lossy.close();
    await proxy.close();
  });

  it('batch() keeps the rows that guard against a second time few', async () => {
    await db.batch([
      {
        sql: `WITH RECURSIVE i (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < 25000)
              INSERT INTO rqlite_batches (id, results) SELECT 'old ' || x, '' FROM i`,
      },
    ]);
    const fresh = connect(nodes.addresses);
    await fresh.batch([increment]);
    const [rows] = await fresh.query<{ kept: number }>('SELECT count(*) AS kept FROM rqlite_batches');
    expect(rows?.kept).toBe(20_000);
    await fresh.close();
  });

  it('batch() refuses functions that each node would answer for itself', async () => {
    for (const sql of [
      'UPDATE counter SET n = unixepoch()',
      'UPDATE counter SET n = random ()',
      'SELECT CURRENT_TIMESTAMP',
    ]) {
      await expect(db.batch([{ sql }])).rejects.toThrow('differently');
    }
  });

  it('every write is applied once while leaders are killed and come back', async () => {
    let acknowledged = 0;
    let writing = true;
    const writers = Array.from({ length: 4 }, async () => {
      const writer = connect(nodes.addresses);
      while (writing) {
        const [result] = await writer.batch([increment]);
        acknowledged += result?.changes ?? 0;
      }
      await writer.close();
    });
    for (let kill = 0; kill < 2; kill += 1) {
      const leader = await nodes.newLeader();
      await nodes.kill(leader);
      const before = acknowledged;
      await expect.poll(() => acknowledged - before, { timeout: PATIENT_MS }).toBeGreaterThan(10);
      nodes.start(leader);
      await nodes.ready(leader);
    }
    writing = false;
    await Promise.all(writers);
    expect(await count(db)).toBe(acknowledged);
  });

  it('a leader that is stopped is left for the next one, and says nothing old when it goes on', async () => {
    const leader = await nodes.newLeader();
    nodes.pause(leader);
    await db.batch([increment]);
    expect(await count(db)).toBe(1);
    nodes.resume(leader);
    const former = connect([nodes.addresses[leader] as string]);
    expect(await count(former)).toBe(1);
    await former.close();
    await nodes.ready();
  });

  it('a client that learns members goes on by way of them when the only address it was given is gone', async () => {
    const first = await nodes.newLeader();
    const one = new RqliteDatabase({
      addresses: [nodes.addresses[first] as string],
      learnMembers: true,
      timeoutMs: PATIENT_MS,
    });
    await count(one);
    await waitUntil(
      'it to know all members',
      () => one.cluster.addresses.length,
      (known) => known === 3,
    );
    await nodes.kill(first);
    await one.batch([increment]);
    expect(await count(one)).toBe(1);
    await one.close();
    nodes.start(first);
    await nodes.ready(first);
  });

  it('without a majority, reads and writes say that the store is unavailable; a single node still shows its copy', async () => {
    const leader = await nodes.newLeader();
    const [left, other] = [(leader + 1) % 3, (leader + 2) % 3];
    await Promise.all([nodes.kill(leader), nodes.kill(other)]);
    const hasty = connect(nodes.addresses, 1_000);
    await expect(hasty.batch([increment])).rejects.toBeInstanceOf(StoreUnavailableError);
    await expect(hasty.query('SELECT 1')).rejects.toBeInstanceOf(StoreUnavailableError);
    await hasty.close();
    const single = connect([nodes.addresses[left] as string]);
    expect(await single.query('SELECT id FROM counter WHERE id = 1', [], 'none')).toEqual([{ id: 1 }]);
    expect(await single.ownNode()).toContain('not ready: leader');
    const [address] = single.cluster.addresses;
    const report = await checkStore({ driver: 'rqlite', addresses: [address], timeoutMs: 4_000 });
    expect(report.nodes.filter(({ reachable }) => reachable)).toMatchObject([{ id: `node-${left}` }]);
    expect(report.problems.map(({ check }) => check)).toContain('leader');
    expect(report.nodes.map(({ address }) => typeof address)).toEqual(['string', 'string', 'string']);
    await single.close();
    nodes.start(leader);
    nodes.start(other);
    await nodes.ready();
    expect(await db.ownNode()).toBeNull();
    await db.batch([increment]);
  });
});

describe('rqlited with TLS and credentials', () => {
  const authority = new CertificateAuthority();
  const dir = mkdtempSync(join(tmpdir(), 'orama-rqlite-access-'));
  const caFile = join(dir, 'ca.pem');
  const secret = (text: string) => {
    const file = join(dir, `${text.length}.secret`);
    writeFileSync(file, `${text}\n`, { mode: 0o600 });
    return file;
  };
  let nodes: RqliteNodes;

  beforeAll(async () => {
    writeFileSync(caFile, authority.certificate);
    const prefix = await RqliteNodes.freePrefix('127.90.3');
    const tls = { ...authority.issue(`${prefix}.1`), ca: authority.certificate };
    nodes = await RqliteNodes.start({ prefix, count: 1, credentials: 'orama:let me in', tls });
  });
  afterAll(async () => {
    await nodes.close();
    authority.close();
    rmSync(dir, { recursive: true });
  });
  const open = (access: { credentialsFile?: string; caFile?: string }) =>
    openStore({ driver: 'rqlite', addresses: nodes.addresses, timeoutMs: 1_500, ...access });

  it('openStore() reads both from files', async () => {
    const db = await open({ caFile, credentialsFile: secret('orama:let me in') });
    expect(await schemaVersion(db)).toBeGreaterThan(0);
    await db.close();
  });

  it('openStore() names wrong or missing credentials, and shows none', async () => {
    const refused = open({ caFile, credentialsFile: secret('orama:guessed') });
    await expect(refused).rejects.toBeInstanceOf(ConfigError);
    await expect(refused).rejects.toThrow(/refuses the credentials/);
    await expect(refused).rejects.not.toThrow(/guessed/);
    await expect(open({ caFile })).rejects.toBeInstanceOf(ConfigError);
    await expect(open({ caFile, credentialsFile: secret('nothing') })).rejects.toThrow('user:password');
  });

  it('openStore() trusts no certificate that the authority did not give', async () => {
    const untrusted = open({ credentialsFile: secret('orama:let me in') });
    await expect(untrusted).rejects.toBeInstanceOf(StoreUnavailableError);
    await expect(untrusted).rejects.toThrow(/certificate/);
  });
});

it('openStore() refuses an rqlited that does not enforce foreign keys', async () => {
  const prefix = await RqliteNodes.freePrefix('127.90.4');
  const nodes = await RqliteNodes.start({ prefix, count: 1, foreignKeys: [false] });
  const opened = openStore({ driver: 'rqlite', addresses: nodes.addresses, timeoutMs: 8_000 });
  await expect(opened).rejects.toThrow('does not enforce foreign keys');
  await nodes.close();
});

it('endWithin() has who asks a store that does not answer wait no longer', async () => {
  const nobody = connect(['http://127.0.0.1:1'], 600_000);
  const waiting = nobody.query('SELECT 1');
  nobody.endWithin(100);
  await expect(waiting).rejects.toBeInstanceOf(StoreUnavailableError);
  await expect(nobody.query('SELECT 1')).rejects.toBeInstanceOf(StoreUnavailableError);
  await nobody.close();
});

describe('something else at the address', () => {
  /** How a query ends where a server answers so. @param leader where it redirects to, by its own base URL */
  const answers = async (body: string | Buffer, timeoutMs = 1_000, leader?: (own: string) => string) => {
    let own = '';
    const server = createServer((_, response) => {
      if (leader) response.writeHead(301, { location: leader(own) });
      response.end(body);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    own = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const db = connect([own], timeoutMs);
    const failure = await db.query('SELECT 1').catch((thrown: unknown) => thrown);
    await db.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    return failure as Error;
  };

  it('query() takes what is no JSON for an unavailable store', async () => {
    const failure = await answers('<html>');
    expect(failure).toBeInstanceOf(StoreUnavailableError);
    expect(failure.message).toContain('may not be rqlite');
  });

  it('query() ends an answer that is too large', async () => {
    expect((await answers(Buffer.alloc(33 * 1024 * 1024), PATIENT_MS)).message).toContain('larger than');
  });

  it('query() follows no redirect to another scheme, and goes in no circle', async () => {
    const away = await answers('', 1_000, (own) => own.replace('http:', 'https:'));
    expect(away.message).toContain('cannot be used');
    expect(await answers('', 1_000, (own) => own)).toBeInstanceOf(StoreUnavailableError);
  });
});
