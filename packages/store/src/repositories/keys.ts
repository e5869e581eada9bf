import { createHash } from 'node:crypto';
import type { Database, ReadLevel, Statement } from '../database.ts';

export interface KeyRow {
  id: string;
  namespace: string;
  kind: 'owner';
  state: 'active' | 'revoked';
  createdAtMs: number;
}

interface Raw {
  id: string;
  namespace: string;
  kind: 'owner';
  state: 'active' | 'revoked';
  created_at: number;
}

/** Hex SHA-256 of an API key. Keys carry 256 random bits, so a fast hash is enough, and looking up by it leaks no timing of the key. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** API keys, by hash. */
export class KeysRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** The key's row, or null for an unknown one. Asked for each request of strangers, so `weak` unless said. */
  async findByHash(hash: string, level: ReadLevel = 'weak'): Promise<KeyRow | null> {
    const [raw] = await this.#db.query<Raw>(
      'SELECT id, namespace, kind, state, created_at FROM keys WHERE hash = ?',
      [hash],
      level,
    );
    return raw
      ? { id: raw.id, namespace: raw.namespace, kind: raw.kind, state: raw.state, createdAtMs: raw.created_at }
      : null;
  }

  insert(row: { id: string; namespace: string; kind: 'owner'; hash: string; createdAtMs: number }): Statement {
    return {
      sql: 'INSERT INTO keys (id, namespace, kind, hash, created_at) VALUES (?, ?, ?, ?, ?)',
      params: [row.id, row.namespace, row.kind, row.hash, row.createdAtMs],
    };
  }
}
