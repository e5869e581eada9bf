import type { Database, ReadLevel, Statement } from '../database.ts';

export type OperationKind = 'enable-webrtc' | 'disable-webrtc' | 'rotate-secret' | 'drain-node';
export type OperationState = 'running' | 'done' | 'failed';
export type StepState = 'pending' | 'running' | 'done' | 'failed';

export interface OperationStepRow {
  name: string;
  state: StepState;
  detail: string | null;
  startedAtMs: number | null;
  finishedAtMs: number | null;
}

export interface OperationRow {
  id: string;
  kind: OperationKind;
  /** What it is about: a namespace, or else a node. */
  namespace: string | null;
  nodeId: string | null;
  /** Of the settings that it waits for; 0 of a node. */
  generation: number;
  /** When whatever is left is ended; null where nothing is. */
  deadlineAtMs: number | null;
  state: OperationState;
  errorCode: string | null;
  errorMessage: string | null;
  requestedBy: string;
  createdAtMs: number;
  finishedAtMs: number | null;
  steps: OperationStepRow[];
}

interface Raw {
  id: string;
  kind: OperationKind;
  namespace: string | null;
  node_id: string | null;
  generation: number;
  deadline_at: number | null;
  state: OperationState;
  error_code: string | null;
  error_message: string | null;
  requested_by: string;
  created_at: number;
  finished_at: number | null;
}

interface RawStep {
  operation_id: string;
  name: string;
  state: StepState;
  detail: string | null;
  started_at: number | null;
  finished_at: number | null;
}

/** The journal of what was begun; at most one operation of a namespace runs at a time. */
export class OperationsRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async get(id: string): Promise<OperationRow | null> {
    return (await this.#load('WHERE id = ?', [id]))[0] ?? null;
  }

  async runningOf(namespace: string): Promise<OperationRow | null> {
    return (await this.#load(`WHERE namespace = ? AND state = 'running'`, [namespace]))[0] ?? null;
  }

  /** The operations that began last, the newest first: in the order of the store, whatever the clocks of nodes said. */
  async listNewest(limit: number, namespace?: string): Promise<OperationRow[]> {
    const params = namespace === undefined ? [limit] : [namespace, limit];
    const where = namespace === undefined ? '' : 'WHERE namespace = ?';
    return this.#load(where, params, { level: 'weak', order: 'rowid DESC LIMIT ?' });
  }

  /** What runs about a node itself. */
  async runningOfNode(nodeId: string): Promise<OperationRow | null> {
    return (await this.#load(`WHERE node_id = ? AND state = 'running'`, [nodeId]))[0] ?? null;
  }

  /** @param level `weak` for whoever only shows them, or writes what is refused should it be otherwise */
  async listRunning(level: ReadLevel = 'strong'): Promise<OperationRow[]> {
    return this.#load(`WHERE state = 'running'`, [], { level });
  }

  /** Fails the batch when another operation of the namespace, or of the node, runs. */
  insert(
    row: { id: string; kind: OperationKind; requestedBy: string; createdAtMs: number } & (
      | { namespace: string; generation: number }
      | { nodeId: string; deadlineAtMs: number }
    ),
  ): Statement {
    const { namespace, generation, nodeId, deadlineAtMs } = {
      ...{ namespace: null, generation: 0, nodeId: null, deadlineAtMs: null },
      ...row,
    };
    return {
      sql: `INSERT INTO operations (id, kind, namespace, node_id, generation, deadline_at, requested_by, created_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      params: [row.id, row.kind, namespace, nodeId, generation, deadlineAtMs, row.requestedBy, row.createdAtMs],
    };
  }

  insertStep(operationId: string, name: string, position: number): Statement {
    return {
      sql: `INSERT INTO operation_steps (operation_id, name, position, state) VALUES (?, ?, ?, 'pending') ON CONFLICT (operation_id, name) DO NOTHING`,
      params: [operationId, name, position],
    };
  }

  /** Moves a step on; times are set at the first `running` and at the end, and kept. A finished step stays as it is. */
  updateStep(operationId: string, name: string, state: StepState, detail: string | null, nowMs: number): Statement {
    const finished = state === 'done' || state === 'failed';
    return {
      sql: `UPDATE operation_steps SET state = ?, detail = ?, started_at = COALESCE(started_at, ?), finished_at = ?
            WHERE operation_id = ? AND name = ? AND finished_at IS NULL AND (state <> ? OR COALESCE(detail, '') <> COALESCE(?, ''))`,
      params: [
        state,
        detail,
        state === 'pending' ? null : nowMs,
        finished ? nowMs : null,
        operationId,
        name,
        state,
        detail,
      ],
    };
  }

  /** Brings the deadline of a running operation nearer. */
  setDeadline(id: string, deadlineAtMs: number): Statement {
    return {
      sql: `UPDATE operations SET deadline_at = MIN(deadline_at, ?) WHERE id = ? AND state = 'running'`,
      params: [deadlineAtMs, id],
    };
  }

  /** Makes a running operation wait for other settings than those it began with. */
  setGeneration(id: string, generation: number): Statement {
    return { sql: `UPDATE operations SET generation = ? WHERE id = ? AND state = 'running'`, params: [generation, id] };
  }

  /** Ends a running operation. */
  finish(
    id: string,
    state: 'done' | 'failed',
    nowMs: number,
    error: { code: string; message: string } | null = null,
  ): Statement {
    return {
      sql: `UPDATE operations SET state = ?, finished_at = ?, error_code = ?, error_message = ? WHERE id = ? AND state = 'running'`,
      params: [state, nowMs, error?.code ?? null, error?.message ?? null, id],
    };
  }

  async #load(
    where: string,
    params: (string | number)[],
    { level = 'strong' as ReadLevel, order = 'created_at' } = {},
  ): Promise<OperationRow[]> {
    const rows = await this.#db.query<Raw>(`SELECT * FROM operations ${where} ORDER BY ${order}`, params, level);
    return Promise.all(
      rows.map(async (raw) => ({
        id: raw.id,
        kind: raw.kind,
        namespace: raw.namespace,
        nodeId: raw.node_id,
        generation: raw.generation,
        deadlineAtMs: raw.deadline_at,
        state: raw.state,
        errorCode: raw.error_code,
        errorMessage: raw.error_message,
        requestedBy: raw.requested_by,
        createdAtMs: raw.created_at,
        finishedAtMs: raw.finished_at,
        steps: await this.#stepsOf(raw.id, level),
      })),
    );
  }

  async #stepsOf(operationId: string, level: ReadLevel): Promise<OperationStepRow[]> {
    const rows = await this.#db.query<RawStep>(
      'SELECT * FROM operation_steps WHERE operation_id = ? ORDER BY position, name',
      [operationId],
      level,
    );
    return rows.map((raw) => ({
      name: raw.name,
      state: raw.state,
      detail: raw.detail,
      startedAtMs: raw.started_at,
      finishedAtMs: raw.finished_at,
    }));
  }
}
