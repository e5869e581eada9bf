import { describeError, UserError } from '@orama/core';
import BetterSqlite3 from 'better-sqlite3';
import { readMigrations, refuseForeign } from '../migrate.ts';

/** What a backup holds. */
export interface BackupContent {
  schemaVersion: number;
  namespaces: number;
  nodes: number;
}

/**
 * Looks whether a file is a sound backup that this program can use. Changes nothing.
 * Throws UserError INVALID_REQUEST when it is not, ConfigError when its schema is newer than this program.
 */
export function readBackup(file: string): BackupContent {
  let db: BetterSqlite3.Database;
  try {
    db = new BetterSqlite3(file, { readonly: true, fileMustExist: true });
  } catch (thrown) {
    throw unusable(file, describeError(thrown));
  }
  try {
    const [integrity] = db.pragma('integrity_check(1)') as { integrity_check: string }[];
    if (integrity?.integrity_check !== 'ok') throw unusable(file, `it is damaged: ${integrity?.integrity_check}`);
    const orphans = db.pragma('foreign_key_check') as { table: string }[];
    if (orphans[0]) throw unusable(file, `rows of ${orphans[0].table} refer to rows that are not there`);
    const tables = db.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).all() as { name: string }[];
    if (!tables.some(({ name }) => name === 'schema_migrations'))
      throw unusable(file, 'it is no store of Orama WebRTC');
    const applied = db.prepare('SELECT version, name FROM schema_migrations ORDER BY version').all();
    refuseForeign(applied as { version: number; name: string }[], readMigrations());
    const count = (table: string) => (db.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n;
    return { schemaVersion: applied.length, namespaces: count('namespaces'), nodes: count('nodes') };
  } catch (thrown) {
    throw thrown instanceof BetterSqlite3.SqliteError ? unusable(file, describeError(thrown)) : thrown;
  } finally {
    db.close();
  }
}

function unusable(file: string, why: string): UserError {
  return new UserError('INVALID_REQUEST', `${file} cannot be used as a backup: ${why}`, {
    hint: 'name a file that "orama store backup" wrote',
  });
}
