import { randomUUID } from 'node:crypto';
import { ConfigError, OramaError } from '@orama/core';
import {
  type Database,
  type ReadLevel,
  type SqlValue,
  type Statement,
  type StatementResult,
  StoreConflictError,
  StoreUnavailableError,
} from '../database.ts';
import { type RqliteAccess, RqliteCluster, type StatementAnswer } from './cluster.ts';

/**
 * What our levels are to rqlite. Its own `strong` writes every read into the Raft log; `linearizable` promises the same
 * for one round of heartbeats.
 */
const LEVELS: Record<ReadLevel, string> = { strong: 'linearizable', weak: 'weak', none: 'none' };

/**
 * Every batch writes its own id first, and beside it what each statement changed. Sent again because its answer was lost,
 * it fails on that row if it had been applied, and the row has the answer. `results` is NULL where the id was given up.
 */
const BATCHES_TABLE =
  'CREATE TABLE IF NOT EXISTS rqlite_batches (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, results TEXT)';
/** Newest rows that are kept; a batch is sent again for seconds only. By count, as clocks of nodes differ. */
const BATCHES_KEPT = 20_000;
/** Own batches between two prunings. */
const PRUNE_EVERY = 1_000;
const SEEN_BEFORE = 'UNIQUE constraint failed: rqlite_batches.id';
const NO_TABLE = 'no such table: rqlite_batches';

/** The replicated driver: a client of rqlite's HTTP API. */
export class RqliteDatabase implements Database {
  readonly cluster: RqliteCluster;
  #batches = 0;

  constructor(access: RqliteAccess) {
    this.cluster = new RqliteCluster(access);
  }

  async query<Row>(sql: string, params: SqlValue[] = [], level: ReadLevel = 'strong'): Promise<Row[]> {
    const path = `/db/query?level=${LEVELS[level]}${level === 'none' ? '' : '&redirect'}`;
    const request = { method: 'POST', path, body: JSON.stringify([[sql, ...params]]) } as const;
    const { results } = await this.cluster.ask(request, level === 'none' ? { first: this.cluster.addresses[0] } : {});
    return rowsOf<Row>(results[0]);
  }

  async batch(statements: Statement[]): Promise<StatementResult[]> {
    if (statements.length === 0) return [];
    for (const { sql } of statements) refuseLocalFunctions(sql);
    const id = randomUUID();
    const prune = this.#batches++ % PRUNE_EVERY === 0;
    const sent = withId(id, statements, prune);
    let { results, doubtful } = await this.#execute(sent);
    if (results[0]?.error === NO_TABLE) {
      await this.#execute([{ sql: BATCHES_TABLE }]);
      ({ results, doubtful } = await this.#execute(sent));
    }
    const failure = results.find(({ error }) => error !== undefined)?.error;
    if (failure === undefined)
      return statements.map((_, index) => ({ changes: results[1 + 2 * index]?.rows_affected ?? 0 }));
    if (failure === SEEN_BEFORE) return this.#resultsOf(id);
    // Refused, while an earlier attempt may still be on its way: it must find its id taken, whenever it arrives.
    if (doubtful && (await this.#giveUp(id)) === 'applied') return this.#resultsOf(id);
    throw storeError(failure, 'writing to the store');
  }

  /**
   * Throws ConfigError when a node that can be reached does not enforce foreign keys: what the others refuse it would
   * apply, and its copy would no longer be theirs.
   */
  async requireForeignKeys(): Promise<void> {
    for (const origin of this.cluster.addresses) {
      const enforces = await this.enforcesForeignKeys(origin).catch((thrown: unknown) => {
        if (thrown instanceof StoreUnavailableError) return true;
        throw thrown;
      });
      if (enforces) continue;
      throw new ConfigError(`rqlited at ${origin} does not enforce foreign keys`, {
        hint: 'start every rqlited of the cluster with -fk',
      });
    }
  }

  async enforcesForeignKeys(origin: string): Promise<boolean> {
    const [row] = await this.copyOn(origin).query<{ foreign_keys: number }>('PRAGMA foreign_keys');
    return row?.foreign_keys === 1;
  }

  /** Reads of one node's own copy, whatever the others have. They throw StoreUnavailableError when it does not answer. */
  copyOn(origin: string): Pick<Database, 'query'> {
    return {
      query: async <Row>(sql: string, params: SqlValue[] = []) => {
        const request = {
          method: 'POST',
          path: '/db/query?level=none',
          body: JSON.stringify([[sql, ...params]]),
        } as const;
        const { results } = (await this.cluster.askNode(origin, request)) as { results?: StatementAnswer[] };
        return rowsOf<Row>(results?.[0]);
      },
    };
  }

  /** Whether the node of the first address serves: null, or why not. */
  async ownNode(): Promise<string | null> {
    return this.cluster.readiness(this.cluster.addresses[0]);
  }

  endWithin(timeoutMs: number): void {
    this.cluster.endWithin(timeoutMs);
  }

  async close(): Promise<void> {
    this.cluster.close();
  }

  #execute(statements: Statement[]) {
    const body = JSON.stringify(statements.map(({ sql, params = [] }) => [sql, ...params]));
    return this.cluster.ask({ method: 'POST', path: '/db/execute?transaction&redirect', body });
  }

  /** What a batch changed that was applied by an attempt without an answer. */
  async #resultsOf(id: string): Promise<StatementResult[]> {
    const [row] = await this.query<{ results: string | null }>('SELECT results FROM rqlite_batches WHERE id = ?', [id]);
    const results = row?.results ?? '';
    return results === '' ? [] : results.split(' ').map((changes) => ({ changes: Number(changes) }));
  }

  async #giveUp(id: string): Promise<'given up' | 'applied'> {
    const { results } = await this.#execute([
      { sql: 'INSERT INTO rqlite_batches (id, results) VALUES (?, NULL) ON CONFLICT (id) DO NOTHING', params: [id] },
    ]);
    const [row] = await this.query<{ results: string | null }>('SELECT results FROM rqlite_batches WHERE id = ?', [id]);
    return results[0]?.error === undefined && row?.results === null ? 'given up' : 'applied';
  }
}

/** The batch as it is sent: each statement is followed by one that writes down what it changed. */
function withId(id: string, statements: readonly Statement[], prune: boolean): Statement[] {
  const note = (separator: string): Statement => ({
    sql: `UPDATE rqlite_batches SET results = results || '${separator}' || changes() WHERE id = ?`,
    params: [id],
  });
  return [
    { sql: `INSERT INTO rqlite_batches (id, results) VALUES (?, '')`, params: [id] },
    ...statements.flatMap((statement, index) => [statement, note(index === 0 ? '' : ' ')]),
    ...(prune
      ? [
          {
            sql: 'DELETE FROM rqlite_batches WHERE seq <= (SELECT MAX(seq) FROM rqlite_batches) - ?',
            params: [BATCHES_KEPT],
          },
        ]
      : []),
  ];
}

function rowsOf<Row>(answer: StatementAnswer | undefined): Row[] {
  if (!answer) throw new StoreUnavailableError('the store answered a query with nothing');
  if (answer.error !== undefined) throw storeError(answer.error, 'reading from the store');
  const { columns = [], values = [] } = answer;
  return values.map((row) => Object.fromEntries(row.map((value, index) => [columns[index], exact(value)])) as Row);
}

/** JSON numbers above 2^53 were rounded while they were read. */
function exact(value: unknown): unknown {
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new OramaError('INTERNAL', 'the store holds an integer beyond 2^53, which cannot be told exactly');
  }
  return value;
}

/**
 * Each node applies a batch by itself, so its statements must come to the same everywhere. rqlite rewrites some of these
 * functions and leaves others as they are (`unixepoch()`, CURRENT_TIMESTAMP): time and randomness come as parameters.
 */
const LOCAL_FUNCTION =
  /\b(?:random|randomblob|unixepoch|julianday|strftime|datetime|date|time|timediff)\s*\(|\bcurrent_(?:timestamp|date|time)\b/i;

function refuseLocalFunctions(sql: string): void {
  const found = LOCAL_FUNCTION.exec(sql)?.[0];
  if (found === undefined) return;
  throw new OramaError('INTERNAL', `a statement uses ${found}, which each node of the store would answer differently`, {
    hint: 'give the value as a parameter',
  });
}

function storeError(message: string, doing: string): OramaError {
  if (message.includes('constraint failed')) {
    return new StoreConflictError(`${doing}: ${message}`, message.includes('batch_guard'), undefined);
  }
  if (/database is locked|disk I\/O error|is full|readonly database|malformed/.test(message)) {
    return new StoreUnavailableError(`${doing} failed: ${message}`);
  }
  return new OramaError('INTERNAL', `${doing} failed: ${message}`);
}
