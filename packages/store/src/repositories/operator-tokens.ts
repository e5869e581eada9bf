import type { OperatorScope } from '@orama/protocol';
import type { Database, Statement } from '../database.ts';

export interface OperatorTokenRow {
  id: string;
  name: string;
  scope: OperatorScope;
  /** Hex SHA-256 of the secret. */
  hash: string;
  createdBy: string;
  createdAtMs: number;
  expiresAtMs: number;
}

interface Raw {
  id: string;
  name: string;
  scope: OperatorScope;
  hash: string;
  created_by: string;
  created_at: number;
  expires_at: number;
}

/** Tokens of operators who come from outside. One that is revoked is gone; the audit trail remembers it. */
export class OperatorTokensRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** In order of name. */
  async list(): Promise<OperatorTokenRow[]> {
    return (await this.#db.query<Raw>('SELECT * FROM operator_tokens ORDER BY name')).map(toRow);
  }

  async get(id: string): Promise<OperatorTokenRow | null> {
    const [raw] = await this.#db.query<Raw>('SELECT * FROM operator_tokens WHERE id = ?', [id]);
    return raw ? toRow(raw) : null;
  }

  /** The batch is refused where the name is taken. */
  insert(row: OperatorTokenRow): Statement {
    return {
      sql: 'INSERT INTO operator_tokens (id, name, scope, hash, created_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
      params: [row.id, row.name, row.scope, row.hash, row.createdBy, row.createdAtMs, row.expiresAtMs],
    };
  }

  /** Its result tells how many there were. */
  remove(name: string): Statement {
    return { sql: 'DELETE FROM operator_tokens WHERE name = ?', params: [name] };
  }
}

function toRow(raw: Raw): OperatorTokenRow {
  return {
    id: raw.id,
    name: raw.name,
    scope: raw.scope,
    hash: raw.hash,
    createdBy: raw.created_by,
    createdAtMs: raw.created_at,
    expiresAtMs: raw.expires_at,
  };
}
