import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describeError, UserError } from '@orama/core';
import type { StoreConfig } from '@orama/protocol';
import BetterSqlite3 from 'better-sqlite3';
import { type Database, StoreUnavailableError } from '../database.ts';
import { migrate, readMigrations } from '../migrate.ts';
import { connectStore } from '../open.ts';
import { RqliteDatabase } from '../rqlite/rqlite.ts';
import { damageOf } from '../sqlite.ts';
import { type BackupContent, readBackup } from './backup-file.ts';

/** Longer than the heartbeats of a node are apart. */
const HEARTBEAT_MS = 2_500;

export interface RestoreOptions {
  /** Whether what the store holds may be replaced. */
  replace: boolean;
  /** Whether that may happen under programs that work with it. */
  inUse: boolean;
  /** How long a store that holds something is watched for signs of use. */
  watchMs?: number;
  /** Told before that. */
  onWatch?: () => void | Promise<void>;
}

/**
 * Makes the store what a backup holds, in one transaction, and brings its schema up to date.
 * Throws UserError CONFLICT when the store holds something or is in use and that was not allowed; as `readBackup` does
 * when the backup cannot be used; StoreUnavailableError. The store is as it was then.
 * A SQLite file that cannot be read any more is kept beside the new one, as `<file>.damaged-<time>`.
 */
export async function restoreStore(config: StoreConfig, file: string, options: RestoreOptions): Promise<BackupContent> {
  const content = readBackup(file);
  if (config.driver === 'rqlite') await refuseToLose(config, options);
  else if (existsSync(config.file)) await makeRoom(config, options);
  const db = connectStore(config);
  try {
    if (db instanceof RqliteDatabase) {
      await db.requireForeignKeys();
      await db.cluster.load(await withoutWal(file));
    } else if (config.driver === 'sqlite') await copyInto(file, config.file);
    await migrate(db);
  } finally {
    await db.close();
  }
  return { ...content, schemaVersion: readMigrations().length };
}

/** As `refuseToLose`; a file that nobody can read any more is put aside where it may be replaced. */
async function makeRoom(config: StoreConfig & { driver: 'sqlite' }, options: RestoreOptions): Promise<void> {
  try {
    await refuseToLose(config, options);
  } catch (thrown) {
    const damage = damageOf(thrown);
    if (damage === null) throw thrown;
    const aside = `${config.file}.damaged-${Date.now()}`;
    if (!options.replace) {
      throw new UserError('CONFLICT', `the store ${config.file} is damaged: ${damage}`, {
        hint: 'stop the controlplanes and gateways, and give --replace to put it aside and take the backup',
      });
    }
    for (const part of ['', '-wal', '-shm']) {
      if (existsSync(`${config.file}${part}`)) await rename(`${config.file}${part}`, `${aside}${part}`);
    }
  }
}

async function refuseToLose(
  config: StoreConfig,
  { replace, inUse, watchMs = HEARTBEAT_MS, onWatch }: RestoreOptions,
): Promise<void> {
  const db = connectStore(config);
  try {
    const before = await signsOfLife(db);
    if (before === null) return;
    if (!replace) {
      const { nodes, namespaces } = before;
      throw new UserError('CONFLICT', `the store is not empty: it has ${nodes} nodes and ${namespaces} namespaces`, {
        hint: 'back it up, and give --replace to lose what it holds',
      });
    }
    if (inUse) return;
    await onWatch?.();
    await setTimeout(watchMs);
    const after = await signsOfLife(db);
    if (after && after.beats === before.beats && after.changes === before.changes) return;
    throw new UserError('CONFLICT', 'the store is in use: nodes write to it', {
      hint: 'stop the controlplanes and gateways of all nodes first, or give --in-use',
    });
  } finally {
    await db.close();
  }
}

/** What changes as long as a node works with the store. Null for a store that holds nothing. */
async function signsOfLife(db: Database) {
  const tables = await db.query(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name IN ('nodes', 'namespaces')`);
  if (tables.length < 2) return null;
  const columns = await db.query<{ name: string }>(`SELECT name FROM pragma_table_info('nodes')`);
  const beat = columns.some(({ name }) => name === 'beats') ? 'beats' : 'last_seen_at';
  const [signs] = await db.query<{ beats: number; changes: number; nodes: number; namespaces: number }>(
    `SELECT (SELECT COALESCE(SUM(${beat}), 0) FROM nodes) AS beats, (SELECT COUNT(*) FROM nodes) AS nodes,
            (SELECT COUNT(*) FROM namespaces) AS namespaces, (SELECT value FROM change_counter) AS changes`,
  );
  return signs && signs.nodes + signs.namespaces > 0 ? signs : null;
}

/** SQLite's own copy from one database over another: a transaction, which a crash undoes. */
async function copyInto(source: string, target: string): Promise<void> {
  const db = new BetterSqlite3(source, { readonly: true });
  try {
    await db.backup(target);
  } catch (thrown) {
    throw new StoreUnavailableError(`writing to ${target} failed: ${describeError(thrown)}`, thrown);
  } finally {
    db.close();
  }
}

/** The bytes of a database, in the form without a write-ahead log, which alone rqlite loads. */
async function withoutWal(source: string): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'orama-restore-'));
  try {
    const copy = join(folder, 'store.sqlite');
    await copyInto(source, copy);
    const db = new BetterSqlite3(copy);
    db.pragma('journal_mode = DELETE');
    db.close();
    return await readFile(copy);
  } finally {
    await rm(folder, { recursive: true });
  }
}
