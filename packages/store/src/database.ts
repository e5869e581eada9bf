import { OramaError } from '@orama/core';

/** A value SQL knows. Booleans are 0 and 1, JSON is text, times are milliseconds. */
export type SqlValue = string | number | null;

export interface Statement {
  sql: string;
  params?: SqlValue[];
}

/** What a statement of a batch did. */
export interface StatementResult {
  /** Rows inserted, updated or deleted. */
  changes: number;
}

/**
 * How fresh a read must be on a replicated store. `strong` sees every acknowledged write, and is what is read where
 * nothing else is said. `weak` is answered by whoever takes itself for the leader: a former one may be seconds behind,
 * so it is for what a guard or the next look sets right. `none` is one node's own copy. A single-machine store is always
 * strong.
 */
export type ReadLevel = 'strong' | 'weak' | 'none';

/**
 * The store as the rest sees it, made for a replicated engine: single reads, and batches of writes that are applied
 * atomically in one request. There are no interactive transactions; a read-check-write is expressed in the statements
 * (conditional insert, unique constraint, `guard`), and planned and sent again on conflict.
 */
export interface Database {
  /** Rows as objects with the column names of the query; `strong` unless said. Throws StoreUnavailableError. */
  query<Row>(sql: string, params?: SqlValue[], level?: ReadLevel): Promise<Row[]>;
  /** Applies all statements or none. Throws StoreConflictError when a constraint or guard fails, StoreUnavailableError. */
  batch(statements: Statement[]): Promise<StatementResult[]>;
  /** From now on whoever asks is told after that time that the store is unavailable: for a program that ends. */
  endWithin(timeoutMs: number): void;
  close(): Promise<void>;
}

/** A batch was refused whole: a unique constraint or a guard did not hold. Read again, plan again. */
export class StoreConflictError extends OramaError {
  /** True when it was a `guard`, false for a constraint of a table. */
  readonly byGuard: boolean;

  constructor(message: string, byGuard: boolean, cause: unknown) {
    super('CONFLICT', message, { cause, retryable: true });
    this.byGuard = byGuard;
  }
}

/** The store could not be reached or did not answer; nothing is known about the write. */
export class StoreUnavailableError extends OramaError {
  constructor(message: string, cause?: unknown) {
    super('STORE_UNAVAILABLE', message, {
      cause,
      retryable: true,
      hint: 'check that the store is running and reachable from this node',
    });
  }
}

/**
 * Statements that make the batch fail unless `condition` (SQL with `?` for `params`) is true at this point of it.
 * `name` tells readers what is being asserted.
 */
export function guard(name: string, condition: string, params: SqlValue[] = []): Statement[] {
  return [
    {
      sql: `INSERT INTO batch_guards (name, ok) SELECT ?, CASE WHEN (${condition}) THEN 1 ELSE 0 END`,
      params: [name, ...params],
    },
    { sql: 'DELETE FROM batch_guards' },
  ];
}

/** Statement that raises the change counter, for batches that reconcilers should wake up for. */
export const raiseChangeCounter: Statement = { sql: 'UPDATE change_counter SET value = value + 1 WHERE id = 1' };

/** The change counter; cheap to poll. */
export async function readChangeCounter(db: Database): Promise<number> {
  const [row] = await db.query<{ value: number }>('SELECT value FROM change_counter WHERE id = 1', [], 'weak');
  return row?.value ?? 0;
}
