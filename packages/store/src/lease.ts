import { type Database, guard, type Statement } from './database.ts';

/** A lease that is held: work done under it carries `generation`, and the store refuses it once another holder took over. */
export interface Lease {
  name: string;
  holder: string;
  generation: number;
  expiresAtMs: number;
}

/**
 * Takes the lease, or renews it when `holder` has it already. Null when somebody else holds it.
 * A new holder raises the generation.
 */
export async function acquireLease(
  db: Database,
  name: string,
  holder: string,
  ttlMs: number,
  nowMs: number,
): Promise<Lease | null> {
  await db.batch([
    {
      sql: `INSERT INTO leases (name, holder, generation, expires_at) VALUES (?, ?, 1, ?)
            ON CONFLICT (name) DO UPDATE SET
              generation = CASE WHEN leases.holder = excluded.holder THEN leases.generation ELSE leases.generation + 1 END,
              holder = excluded.holder,
              expires_at = excluded.expires_at
            WHERE leases.holder = excluded.holder OR leases.expires_at <= ?`,
      params: [name, holder, nowMs + ttlMs, nowMs],
    },
  ]);
  const [row] = await db.query<{ holder: string; generation: number; expires_at: number }>(
    'SELECT holder, generation, expires_at FROM leases WHERE name = ?',
    [name],
  );
  if (!row || row.holder !== holder) return null;
  return { name, holder, generation: row.generation, expiresAtMs: row.expires_at };
}

/** Gives the lease up so that another node can take it at once. */
export async function releaseLease(db: Database, lease: Lease): Promise<void> {
  await db.batch([
    {
      sql: 'UPDATE leases SET expires_at = 0 WHERE name = ? AND holder = ? AND generation = ?',
      params: [lease.name, lease.holder, lease.generation],
    },
  ]);
}

/** Statements that make a batch fail unless the lease is still held with its generation. */
export function guardLease(lease: Lease): Statement[] {
  return guard(
    `lease ${lease.name}`,
    'EXISTS (SELECT 1 FROM leases WHERE name = ? AND holder = ? AND generation = ?)',
    [lease.name, lease.holder, lease.generation],
  );
}
