import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoreConfig } from '@orama/protocol';
import { RqliteNodes } from '@orama/testkit';
import { RqliteDatabase } from '../src/index.ts';

/** A kind of store that tests run on. */
export interface Engine {
  name: 'sqlite' | 'rqlite';
  start(): Promise<void>;
  stop(): Promise<void>;
  /** An empty store, without any table. */
  fresh(): Promise<StoreConfig>;
}

export function sqliteEngine(): Engine {
  let dir: string;
  let count = 0;
  return {
    name: 'sqlite',
    async start() {
      dir = mkdtempSync(join(tmpdir(), 'orama-store-'));
    },
    async stop() {
      rmSync(dir, { recursive: true });
    },
    async fresh() {
      count += 1;
      return { driver: 'sqlite', file: join(dir, String(count), 'orama.db') };
    },
  };
}

/** @param wanted first three octets of the addresses of its three nodes */
export function rqliteEngine(wanted: Parameters<typeof RqliteNodes.freePrefix>[0]): Engine {
  let nodes: RqliteNodes;
  return {
    name: 'rqlite',
    async start() {
      nodes = await RqliteNodes.start({ prefix: await RqliteNodes.freePrefix(wanted) });
    },
    async stop() {
      await nodes.close();
    },
    async fresh() {
      await dropTables(nodes.addresses);
      return { driver: 'rqlite', addresses: nodes.addresses, timeoutMs: 8_000 };
    },
  };
}

/** Empties a cluster but for the driver's own table. */
async function dropTables(addresses: [string, ...string[]]): Promise<void> {
  const db = new RqliteDatabase({ addresses, timeoutMs: 8_000 });
  const tables = await db.query<{ name: string }>(
    `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'rqlite_batches' ORDER BY rowid DESC`,
  );
  await db.batch(tables.map(({ name }) => ({ sql: `DROP TABLE "${name}"` })));
  await db.close();
}
