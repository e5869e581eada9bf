import { closeSync, fchownSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { backoffMs, describeError } from '@orama/core';
import BetterSqlite3 from 'better-sqlite3';
import {
  type Database,
  type SqlValue,
  type Statement,
  type StatementResult,
  StoreConflictError,
  StoreUnavailableError,
} from './database.ts';

/** How long a write waits for another process's lock before the store counts as unavailable. */
const BUSY_DEADLINE_MS = 5_000;
/** The driver is synchronous: inside it we wait only as long as an event loop may stand still. */
const BUSY_BLOCKING_MS = 10;
const BUSY_RETRY_MS = { first: 5, most: 100 };
const STATEMENT_CACHE_MAX = 500;

/** The embedded driver: one file, shared by the processes of one machine (WAL). */
export class SqliteDatabase implements Database {
  readonly #db: BetterSqlite3.Database;
  readonly #prepared = new Map<string, BetterSqlite3.Statement>();

  /** Opens or creates the file (mode 0600). Throws StoreUnavailableError when it cannot. */
  constructor(file: string) {
    let opened: BetterSqlite3.Database | undefined;
    try {
      if (file !== ':memory:') createFile(file);
      const umask = process.umask(0o077);
      try {
        opened = new BetterSqlite3(file, { timeout: BUSY_DEADLINE_MS });
        this.#db = opened;
        this.#db.pragma('journal_mode = WAL');
      } finally {
        process.umask(umask);
      }
      this.#db.pragma('synchronous = FULL');
      this.#db.pragma('foreign_keys = ON');
      this.#db.pragma(`busy_timeout = ${BUSY_BLOCKING_MS}`);
    } catch (thrown) {
      opened?.close();
      throw new StoreUnavailableError(`opening the store ${file} failed: ${describeError(thrown)}`, thrown);
    }
  }

  query<Row>(sql: string, params: SqlValue[] = []): Promise<Row[]> {
    return whileBusy('reading from the store', () => this.#prepare(sql).all(...params) as Row[]);
  }

  batch(statements: Statement[]): Promise<StatementResult[]> {
    const run = this.#db.transaction(() =>
      statements.map(({ sql, params = [] }) => ({ changes: this.#prepare(sql).run(...params).changes })),
    );
    return whileBusy('writing to the store', () => run.immediate());
  }

  /** A file answers at once. */
  endWithin(): void {}

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

/** Makes the file if it is missing. Root's belongs to whom its folder belongs, and SQLite gives its own files that owner. */
function createFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  let descriptor: number;
  try {
    descriptor = openSync(file, 'wx', 0o600);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw thrown;
  }
  try {
    const { uid, gid } = statSync(dirname(file));
    if (process.getuid?.() === 0) fchownSync(descriptor, uid, gid);
  } finally {
    closeSync(descriptor);
  }
}

/** Runs `work`, again and again while another process holds the lock, without standing in the way of the event loop. */
async function whileBusy<T>(doing: string, work: () => T): Promise<T> {
  const deadlineMs = performance.now() + BUSY_DEADLINE_MS;
  for (let attempt = 0; ; attempt++) {
    try {
      return work();
    } catch (thrown) {
      if (!isBusy(thrown) || performance.now() >= deadlineMs) throw storeError(thrown, doing);
    }
    await setTimeout(backoffMs(attempt, BUSY_RETRY_MS.first, BUSY_RETRY_MS.most));
  }
}

/** What is wrong with the file itself, where that is why the store is unavailable; else null. */
export function damageOf(thrown: unknown): string | null {
  if (!(thrown instanceof StoreUnavailableError) || !(thrown.cause instanceof BetterSqlite3.SqliteError)) return null;
  return /^SQLITE_(CORRUPT|NOTADB)/.test(thrown.cause.code) ? describeError(thrown.cause) : null;
}

function isBusy(thrown: unknown): boolean {
  return thrown instanceof BetterSqlite3.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(thrown.code);
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
