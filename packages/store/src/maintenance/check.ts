import { existsSync } from 'node:fs';
import { ConfigError, describeError, UserError } from '@orama/core';
import type { StoreConfig } from '@orama/protocol';
import { type Database, StoreUnavailableError } from '../database.ts';
import { appliedMigrations, readMigrations, refuseForeign } from '../migrate.ts';
import { connectStore } from '../open.ts';
import type { RqliteNode } from '../rqlite/cluster.ts';
import { RqliteDatabase } from '../rqlite/rqlite.ts';
import { damageOf, type SqliteDatabase } from '../sqlite.ts';
import { checkInvariants, type Problem } from './invariants.ts';

export interface CheckReport {
  driver: StoreConfig['driver'];
  schema: {
    /** Null where it could not be read. */
    version: number | null;
    /** What this program brings it to. */
    newest: number;
  };
  /** Members of a replicated store. */
  nodes: (RqliteNode & { appliedIndex: number | null })[];
  problems: Problem[];
}

/**
 * Looks at the whole store and changes nothing: whether every copy is sound and takes part, and whether its rows are such
 * as the programs rely on. Throws UserError NOT_FOUND when there is no store, StoreUnavailableError.
 */
export async function checkStore(config: StoreConfig): Promise<CheckReport> {
  if (config.driver === 'sqlite' && !existsSync(config.file)) {
    throw new UserError('NOT_FOUND', `there is no store at ${config.file}`, {
      hint: 'name its configuration with --config',
    });
  }
  try {
    return await checkDatabase(config, connectStore(config));
  } catch (thrown) {
    // What nobody can read is not out of reach.
    const damage = damageOf(thrown);
    if (damage === null) throw thrown;
    const schema = { version: null, newest: readMigrations().length };
    return { driver: config.driver, nodes: [], problems: [{ check: 'integrity', detail: damage }], schema };
  }
}

async function checkDatabase(config: StoreConfig, db: SqliteDatabase | RqliteDatabase): Promise<CheckReport> {
  try {
    const problems: Problem[] = [];
    const nodes = db instanceof RqliteDatabase ? await checkNodes(db, problems) : [];
    if (!(db instanceof RqliteDatabase)) problems.push(...(await checkCopy(db)));
    const schema = { version: null, newest: readMigrations().length };
    try {
      return { driver: config.driver, nodes, problems, schema: await checkRows(db, schema.newest, problems) };
    } catch (thrown) {
      // Without a majority there is nothing to read, and that is told already.
      if (!(thrown instanceof StoreUnavailableError) || problems.length === 0) throw thrown;
      problems.push({ check: 'replication', detail: thrown.message });
      return { driver: config.driver, nodes, problems, schema };
    }
  } finally {
    await db.close();
  }
}

/** Schema and rows, as the whole store has them. */
async function checkRows(db: Database, newest: number, problems: Problem[]): Promise<CheckReport['schema']> {
  const applied = await appliedMigrations(db);
  const version = applied.at(-1)?.version ?? 0;
  const wrong = (detail: string) => problems.push({ check: 'schema', detail });
  try {
    refuseForeign(applied, readMigrations());
    if (version === newest) problems.push(...(await checkInvariants(db)));
    else wrong(`it has version ${version}; the next controlplane that starts brings it to ${newest}`);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    wrong(thrown.message);
  }
  return { version, newest };
}

/** One copy of the database by itself. */
async function checkCopy(db: Pick<Database, 'query'>, where = ''): Promise<Problem[]> {
  const damage = await db.query<{ integrity_check: string }>('PRAGMA integrity_check(10)', [], 'none');
  const orphans = await db.query<{ table: string; parent: string }>('PRAGMA foreign_key_check', [], 'none');
  return [
    ...damage
      .filter((row) => row.integrity_check !== 'ok')
      .map((row) => ({ check: 'integrity', detail: `${where}${row.integrity_check}` })),
    ...orphans.slice(0, 10).map(({ table, parent }) => ({
      check: 'foreign-keys',
      detail: `${where}a row of ${table} refers to none of ${parent}`,
    })),
  ];
}

async function checkNodes(db: RqliteDatabase, problems: Problem[]): Promise<CheckReport['nodes']> {
  const nodes = await db.cluster.nodes();
  if (!nodes.some(({ leader }) => leader)) problems.push({ check: 'leader', detail: 'no node is the leader' });
  return Promise.all(
    nodes.map(async (node) => {
      const seen = { ...node, appliedIndex: null };
      if (!node.reachable) {
        problems.push({ check: 'replication', detail: `${node.id} cannot be reached by the others` });
        return seen;
      }
      try {
        problems.push(...(await checkCopy(db.copyOn(node.address), `${node.id}: `)));
        if (!(await db.enforcesForeignKeys(node.address))) {
          problems.push({
            check: 'foreign-keys',
            detail: `${node.id} does not enforce them: start its rqlited with -fk`,
          });
        }
        return { ...seen, appliedIndex: await db.cluster.appliedIndex(node.address) };
      } catch (thrown) {
        problems.push({ check: 'replication', detail: describeError(thrown) });
        return seen;
      }
    }),
  );
}
