import { type Database, guard, type Statement } from '../database.ts';

/** A lease that is held: work done under it carries `generation`, and the store refuses it once another holder took over. */
export interface Lease {
  name: string;
  /** Node id. */
  holder: string;
  generation: number;
}

/** A lease as the store has it. It has no end: it may be taken once its row has stood still for long enough. */
export interface LeaseRow extends Omit<Lease, 'holder'> {
  /** Null once its holder gave it up. */
  holder: string | null;
  /** Raised by every sign of life of the holder. */
  renewals: number;
  /** When the holder took it, by the holder's clock; shown only. */
  sinceMs: number;
}

interface Raw {
  name: string;
  holder: string;
  generation: number;
  renewals: number;
  since: number;
}

/** The right to do what only one node may do. */
export class LeasesRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(): Promise<LeaseRow[]> {
    const rows = await this.#db.query<Raw>('SELECT * FROM leases ORDER BY name', [], 'weak');
    return rows.map(({ since, ...raw }) => ({ ...raw, holder: raw.holder || null, sinceMs: since }));
  }

  /**
   * Takes a lease whose row is still exactly as it was seen, with the next generation.
   * @param seen undefined when there was no row
   * @returns null when it is no longer so: somebody else took it, or its holder lives
   */
  async take(name: string, holder: string, seen: LeaseRow | undefined, nowMs: number): Promise<Lease | null> {
    const statement: Statement = seen
      ? {
          sql: `UPDATE leases SET holder = ?, generation = generation + 1, renewals = 0, since = ?
                WHERE name = ? AND holder = ? AND generation = ? AND renewals = ?`,
          params: [holder, nowMs, name, seen.holder ?? '', seen.generation, seen.renewals],
        }
      : {
          sql: 'INSERT INTO leases (name, holder, generation, since) VALUES (?, ?, 1, ?) ON CONFLICT (name) DO NOTHING',
          params: [name, holder, nowMs],
        };
    const [result] = await this.#db.batch([statement]);
    return result?.changes === 1 ? { name, holder, generation: (seen?.generation ?? 0) + 1 } : null;
  }

  /** A sign of life of the holder; changes nothing once another one has the lease. */
  renew({ name, holder, generation }: Lease): Statement {
    return {
      sql: 'UPDATE leases SET renewals = renewals + 1 WHERE name = ? AND holder = ? AND generation = ?',
      params: [name, holder, generation],
    };
  }

  /** Gives a lease up, so that another node can take it at once. */
  release({ name, holder, generation }: Lease): Statement {
    return {
      sql: `UPDATE leases SET holder = '' WHERE name = ? AND holder = ? AND generation = ?`,
      params: [name, holder, generation],
    };
  }
}

/** Statements that make a batch fail unless the lease is still held with its generation. */
export function guardLease(lease: Lease): Statement[] {
  return guard(
    `lease ${lease.name}`,
    'EXISTS (SELECT 1 FROM leases WHERE name = ? AND holder = ? AND generation = ?)',
    [lease.name, lease.holder, lease.generation],
  );
}
