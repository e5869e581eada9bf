import type { Database, Statement } from '../database.ts';

export interface NamespaceRow {
  id: string;
  name: string;
  state: string;
  owner: string;
  /** Generation of the newest enable; 0 before the first. */
  webrtcGeneration: number;
  createdAtMs: number;
}

interface Raw {
  id: string;
  name: string;
  state: string;
  owner: string;
  webrtc_generation: number;
  created_at: number;
}

const fromRaw = (raw: Raw): NamespaceRow => ({
  id: raw.id,
  name: raw.name,
  state: raw.state,
  owner: raw.owner,
  webrtcGeneration: raw.webrtc_generation,
  createdAtMs: raw.created_at,
});

/** Tenants. */
export class NamespacesRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(): Promise<NamespaceRow[]> {
    return (await this.#db.query<Raw>('SELECT * FROM namespaces ORDER BY name')).map(fromRaw);
  }

  async get(name: string): Promise<NamespaceRow | null> {
    const [raw] = await this.#db.query<Raw>('SELECT * FROM namespaces WHERE name = ?', [name]);
    return raw ? fromRaw(raw) : null;
  }

  /** Fails the batch by the unique name when it exists. */
  insert(row: { id: string; name: string; owner: string; createdAtMs: number }): Statement {
    return {
      sql: 'INSERT INTO namespaces (id, name, owner, created_at) VALUES (?, ?, ?, ?)',
      params: [row.id, row.name, row.owner, row.createdAtMs],
    };
  }

  /** Deletes the namespace with its keys and its usage; fails the batch by foreign keys while it has WebRTC rows. */
  remove(name: string): Statement[] {
    return [
      { sql: 'DELETE FROM keys WHERE namespace = ?', params: [name] },
      { sql: 'DELETE FROM usage WHERE namespace = ?', params: [name] },
      { sql: 'DELETE FROM namespaces WHERE name = ?', params: [name] },
    ];
  }

  setWebrtcGeneration(name: string, generation: number): Statement {
    return { sql: 'UPDATE namespaces SET webrtc_generation = ? WHERE name = ?', params: [generation, name] };
  }
}
