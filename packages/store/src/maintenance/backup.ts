import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { describeError, UserError } from '@orama/core';
import type { StoreConfig } from '@orama/protocol';
import BetterSqlite3 from 'better-sqlite3';
import { StoreUnavailableError } from '../database.ts';
import { connectStore } from '../open.ts';
import { RqliteDatabase } from '../rqlite/rqlite.ts';
import { type BackupContent, readBackup } from './backup-file.ts';

export interface BackupReport extends BackupContent {
  file: string;
  bytes: number;
}

/**
 * Copies the store as it is at one instant into a file, mode 0600, which appears whole or not at all. It is an SQLite
 * database, from either driver, and either can be restored from it. Programs work on meanwhile.
 * Throws UserError CONFLICT when there is such a file, NOT_FOUND when there is no store, StoreUnavailableError.
 */
export async function backupStore(config: StoreConfig, target: string): Promise<BackupReport> {
  const file = resolve(target);
  if (existsSync(file)) {
    throw new UserError('CONFLICT', `${file} exists already`, { hint: 'name another file, or move that one away' });
  }
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'wx', 0o600).catch((thrown: unknown) => {
      throw new UserError('INVALID_REQUEST', `the backup cannot be written: ${describeError(thrown)}`);
    });
    await handle.close();
    await copyStore(config, temporary);
    const content = tidy(temporary);
    await sync(temporary);
    await rename(temporary, file);
    await sync(dirname(file));
    return { file, bytes: (await stat(file)).size, ...content };
  } finally {
    for (const left of ['', '-journal', '-wal', '-shm']) await rm(`${temporary}${left}`, { force: true });
  }
}

async function copyStore(config: StoreConfig, file: string): Promise<void> {
  if (config.driver === 'sqlite') return copySqlite(config.file, file);
  const db = connectStore(config);
  try {
    if (db instanceof RqliteDatabase) await db.cluster.download(file);
  } finally {
    await db.close();
  }
}

async function copySqlite(source: string, file: string): Promise<void> {
  if (!existsSync(source)) {
    throw new UserError('NOT_FOUND', `there is no store at ${source}`, {
      hint: 'name its configuration with --config',
    });
  }
  try {
    const db = new BetterSqlite3(source, { readonly: true });
    try {
      await db.backup(file);
    } finally {
      db.close();
    }
  } catch (thrown) {
    throw new StoreUnavailableError(`copying ${source} failed: ${describeError(thrown)}`, thrown);
  }
}

/** Makes the copy one file of its own, without what belongs to a driver, and looks whether it is sound. */
function tidy(file: string): BackupContent {
  const db = new BetterSqlite3(file);
  try {
    db.pragma('journal_mode = DELETE');
    db.exec('DROP TABLE IF EXISTS rqlite_batches; VACUUM');
  } finally {
    db.close();
  }
  return readBackup(file);
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
