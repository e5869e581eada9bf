import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, INSTALL_DIR } from '@orama/core';
import type { Database, Statement } from './database.ts';
import { StoreConflictError } from './database.ts';

/** One file `NNN_name.sql`. */
export interface Migration {
  version: number;
  name: string;
  statements: string[];
}

const CREATE_TABLE =
  'CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)';
const DEFAULT_DIR = join(INSTALL_DIR, 'packages/store/migrations');

/** Splits a script at the semicolons that end a line; migrations keep to that form. Comment lines are dropped. */
export function splitScript(script: string): string[] {
  return script
    .replaceAll(/^\s*--.*$/gm, '')
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement.length > 0);
}

/** The migrations of a folder in order of version. Throws when two share a number or one is missing. */
export function readMigrations(dir: string = DEFAULT_DIR): Migration[] {
  const migrations = readdirSync(dir)
    .filter((file) => file.endsWith('.sql'))
    .map((file) => {
      const match = /^(\d{3})_([a-z0-9-]+)\.sql$/.exec(file);
      if (!match) throw new Error(`migration ${file} is not named NNN_name.sql`);
      return {
        version: Number(match[1]),
        name: match[2] as string,
        statements: splitScript(readFileSync(join(dir, file), 'utf8')),
      };
    })
    .sort((a, b) => a.version - b.version);
  for (const [index, migration] of migrations.entries()) {
    if (migration.version !== index + 1) throw new Error(`migration ${index + 1} is missing or doubled`);
  }
  return migrations;
}

/**
 * Brings the schema to the newest version. Each migration is one atomic batch that begins by recording its number, so that
 * several programs may start at once and none dies half way through one: who comes second is refused by that record,
 * looks again and goes on. Older programs run on beside a newer schema until they are started again, which they refuse.
 * Throws ConfigError when the schema is newer than this program, or of another one.
 * @returns the versions that this call applied
 */
export async function migrate(db: Database, migrations: Migration[] = readMigrations()): Promise<number[]> {
  const applied: number[] = [];
  for (;;) {
    const there = await appliedMigrations(db);
    refuseForeign(there, migrations);
    const next = migrations.find(({ version }) => !there.some((row) => row.version === version));
    if (!next) return applied;
    const record: Statement = {
      sql: 'INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)',
      params: [next.version, next.name, Date.now()],
    };
    try {
      const table = there.length === 0 ? [{ sql: CREATE_TABLE }] : [];
      await db.batch([...table, record, ...next.statements.map((sql) => ({ sql }))]);
      applied.push(next.version);
    } catch (thrown) {
      if (!(thrown instanceof StoreConflictError) || (await schemaVersion(db)) < next.version) throw thrown;
    }
  }
}

/** Throws ConfigError when the schema is newer than this program, or of another one. */
export function refuseForeign(
  there: readonly { version: number; name: string }[],
  migrations: readonly Migration[],
): void {
  const newest = migrations.at(-1)?.version ?? 0;
  const current = there.at(-1)?.version ?? 0;
  if (current > newest) {
    throw new ConfigError(`the store has schema ${current}, this program knows up to ${newest}`, {
      hint: 'run a newer version of Orama WebRTC on this node',
    });
  }
  const other = there.find(({ version, name }) => migrations[version - 1]?.name !== name);
  if (other) {
    throw new ConfigError(
      `migration ${other.version} of the store is "${other.name}", that of this program "${migrations[other.version - 1]?.name}"`,
      { hint: 'the store was made by another program: name the right one in the configuration' },
    );
  }
}

/** The migrations of a store, in order. */
export async function appliedMigrations(db: Database): Promise<{ version: number; name: string }[]> {
  const [table] = await db.query(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'`);
  return table ? db.query('SELECT version, name FROM schema_migrations ORDER BY version') : [];
}

/** The newest applied version; 0 for an empty store. */
export async function schemaVersion(db: Database): Promise<number> {
  return (await appliedMigrations(db)).at(-1)?.version ?? 0;
}
