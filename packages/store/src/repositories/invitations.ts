import { type Database, guard, type Statement } from '../database.ts';

export interface InvitationRow {
  id: string;
  /** The node whose address the token names. */
  answeredBy: string;
  createdBy: string;
  expiresAtMs: number;
  /** The node that took it; null while it is open. */
  nodeId: string | null;
  /** What tells that node from others: its WireGuard key, or else its address. */
  takenBy: string | null;
}

interface Raw {
  id: string;
  answered_by: string;
  created_by: string;
  expires_at: number;
  node_id: string | null;
  taken_by: string | null;
}

/** Invitations of machines to join the cluster. What opens them is made from the cluster key and not kept. */
export class InvitationsRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(): Promise<InvitationRow[]> {
    const rows = await this.#db.query<Raw>('SELECT * FROM invitations ORDER BY id');
    return rows.map((raw) => ({
      id: raw.id,
      answeredBy: raw.answered_by,
      createdBy: raw.created_by,
      expiresAtMs: raw.expires_at,
      nodeId: raw.node_id,
      takenBy: raw.taken_by,
    }));
  }

  insert({ id, answeredBy, createdBy, expiresAtMs }: Omit<InvitationRow, 'nodeId' | 'takenBy'>): Statement {
    return {
      sql: 'INSERT INTO invitations (id, answered_by, created_by, expires_at) VALUES (?, ?, ?, ?)',
      params: [id, answeredBy, createdBy, expiresAtMs],
    };
  }

  remove(id: string): Statement {
    return { sql: 'DELETE FROM invitations WHERE id = ?', params: [id] };
  }

  /** Gives it to a node; the batch fails when another one has it. */
  take(id: string, nodeId: string, takenBy: string): Statement[] {
    const isFree = 'EXISTS (SELECT 1 FROM invitations WHERE id = ? AND (taken_by IS NULL OR taken_by = ?))';
    return [
      ...guard('the invitation is free', isFree, [id, takenBy]),
      { sql: 'UPDATE invitations SET node_id = ?, taken_by = ? WHERE id = ?', params: [nodeId, takenBy, id] },
    ];
  }

  /** Those that are over; nothing can be done with them. */
  removeExpired(nowMs: number): Statement {
    return { sql: 'DELETE FROM invitations WHERE expires_at <= ?', params: [nowMs] };
  }
}
