import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeError } from '@orama/core';
import BetterSqlite3 from 'better-sqlite3';
import {
  type Database,
  type SqlValue,
  type Statement,
  type StatementResult,
  StoreConflictError,
  StoreUnavailableError,
} from './database.ts';

/** How long a writer waits for another process's write lock. */
const BUSY_TIMEOUT_MS = 5_000;
const STATEMENT_CACHE_MAX = 500;

/** The embedded driver: one file, shared by the processes of one machine (WAL). */
export class SqliteDatabase implements Database {
  readonly #db: BetterSqlite3.Database;
  readonly #prepared = new Map<string, BetterSqlite3.Statement>();

  /** Opens or creates the file (mode 0600). Throws StoreUnavailableError when it cannot. */
  constructor(file: string) {
    try {
      if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      const umask = process.umask(0o077);
      try {
        this.#db = new BetterSqlite3(file, { timeout: BUSY_TIMEOUT_MS });
        this.#db.pragma('journal_mode = WAL');
      } finally {
        process.umask(umask);
      }
      this.#db.pragma('synchronous = FULL');
      this.#db.pragma('foreign_keys = ON');
    } catch (thrown) {
      throw new StoreUnavailableError(`opening the store ${file} failed: ${describeError(thrown)}`, thrown);
    }
  }

  async query<Row>(sql: string, params: SqlValue[] = []): Promise<Row[]> {
    try {
      return this.#prepare(sql).all(...params) as Row[];
    } catch (thrown) {
      throw storeError(thrown, 'reading from the store');
    }
  }

  async batch(statements: Statement[]): Promise<StatementResult[]> {
    const run = this.#db.transaction(() =>
      statements.map(({ sql, params = [] }) => ({ changes: this.#prepare(sql).run(...params).changes })),
    );
    try {
      return run.immediate();
    } catch (thrown) {
      throw storeError(thrown, 'writing to the store');
    }
  }

  async close(): Promise<void> {
    this.#prepared.clear();
    this.#db.close();
  }

  #prepare(sql: string): BetterSqlite3.Statement {
    let statement = this.#prepared.get(sql);
    if (!statement) {
      if (this.#prepared.size >= STATEMENT_CACHE_MAX) this.#prepared.clear();
      statement = this.#db.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}

function storeError(thrown: unknown, doing: string): unknown {
  const code = thrown instanceof BetterSqlite3.SqliteError ? thrown.code : '';
  if (code.startsWith('SQLITE_CONSTRAINT')) {
    return new StoreConflictError(
      `${doing}: ${describeError(thrown)}`,
      describeError(thrown).includes('batch_guard'),
      thrown,
    );
  }
  if (/^SQLITE_(BUSY|LOCKED|IOERR|FULL|CANTOPEN|READONLY|CORRUPT|NOTADB)/.test(code)) {
    return new StoreUnavailableError(`${doing} failed: ${describeError(thrown)}`, thrown);
  }
  return thrown;
}
