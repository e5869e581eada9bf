import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '@orama/core';
import type { Database, Statement } from './database.ts';
import { StoreConflictError } from './database.ts';

/** One file `NNN_name.sql`. */
export interface Migration {
  version: number;
  name: string;
  statements: string[];
}

const DEFAULT_DIR = join(import.meta.dirname, '..', 'migrations');

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
 * Brings the schema to the newest version, each migration in one atomic batch that also records its number, so that
 * several processes may start at once: who comes second sees a conflict and goes on.
 * Throws ConfigError when the schema is newer than this program.
 * @returns the versions that this call applied
 */
export async function migrate(db: Database, migrations: Migration[] = readMigrations()): Promise<number[]> {
  await db.batch([
    {
      sql: 'CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)',
    },
  ]);
  const newest = migrations.at(-1)?.version ?? 0;
  const applied: number[] = [];
  for (const migration of migrations) {
    const current = await schemaVersion(db);
    if (current > newest) {
      throw new ConfigError(`the store has schema ${current}, this program knows up to ${newest}`, {
        hint: 'run a newer version of Orama WebRTC on this node',
      });
    }
    if (current >= migration.version) continue;
    const record: Statement = {
      sql: 'INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)',
      params: [migration.version, migration.name, Date.now()],
    };
    try {
      // The record first: of two processes only one gets past it.
      await db.batch([record, ...migration.statements.map((sql) => ({ sql }))]);
      applied.push(migration.version);
    } catch (thrown) {
      if (!(thrown instanceof StoreConflictError)) throw thrown;
    }
  }
  return applied;
}

/** The newest applied version; 0 for an empty store. */
export async function schemaVersion(db: Database): Promise<number> {
  const [row] = await db.query<{ version: number | null }>('SELECT MAX(version) AS version FROM schema_migrations');
  return row?.version ?? 0;
}
