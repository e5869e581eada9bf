import { type Database, guard, type Statement } from '../database.ts';

/** What TURN relayed: counters of a server, or a part of them. Bytes are those of application data. */
export interface RelayCounters {
  /** From clients to peers. */
  bytesIn: number;
  packetsIn: number;
  /** From peers to clients. */
  bytesOut: number;
  packetsOut: number;
  /** Allocations made. */
  allocations: number;
}

/** Usage of a namespace in one hour. */
export interface UsageRow extends RelayCounters {
  namespace: string;
  /** Start of the hour. */
  hourMs: number;
}

/** How far the counters of a node's TURN server have been taken into the usage rows. */
export interface TurnReadRow {
  nodeId: string;
  /** Of the server that counted. */
  boot: string;
  counters: Record<string, RelayCounters>;
  readAtMs: number;
  sequence: number;
}

interface Raw {
  namespace: string;
  hour: number;
  relayed_bytes_in: number;
  relayed_bytes_out: number;
  relayed_packets_in: number;
  relayed_packets_out: number;
  allocations: number;
}

interface RawRead {
  node_id: string;
  boot: string;
  counters: string;
  read_at: number;
  sequence: number;
}

/** Hours of usage, and the reads that they were made from. */
export class UsageRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Hours that begin at `fromMs` or later and before `toMs`, oldest first; hours without usage have no row. */
  async listOf(namespace: string, fromMs: number, toMs: number): Promise<UsageRow[]> {
    const rows = await this.#db.query<Raw>(
      'SELECT * FROM usage WHERE namespace = ? AND hour >= ? AND hour < ? ORDER BY hour',
      [namespace, fromMs, toMs],
      'weak',
    );
    return rows.map((raw) => ({
      namespace: raw.namespace,
      hourMs: raw.hour,
      bytesIn: raw.relayed_bytes_in,
      bytesOut: raw.relayed_bytes_out,
      packetsIn: raw.relayed_packets_in,
      packetsOut: raw.relayed_packets_out,
      allocations: raw.allocations,
    }));
  }

  /** Adds to an hour. Nothing is written for a namespace that is gone. */
  add(row: UsageRow): Statement {
    return {
      sql: `INSERT INTO usage (namespace, hour, relayed_bytes_in, relayed_bytes_out, relayed_packets_in, relayed_packets_out, allocations)
            SELECT ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM namespaces WHERE name = ?)
            ON CONFLICT (namespace, hour) DO UPDATE SET
              relayed_bytes_in = usage.relayed_bytes_in + excluded.relayed_bytes_in,
              relayed_bytes_out = usage.relayed_bytes_out + excluded.relayed_bytes_out,
              relayed_packets_in = usage.relayed_packets_in + excluded.relayed_packets_in,
              relayed_packets_out = usage.relayed_packets_out + excluded.relayed_packets_out,
              allocations = usage.allocations + excluded.allocations`,
      params: [
        row.namespace,
        row.hourMs,
        row.bytesIn,
        row.bytesOut,
        row.packetsIn,
        row.packetsOut,
        row.allocations,
        row.namespace,
      ],
    };
  }

  async turnRead(nodeId: string): Promise<TurnReadRow | null> {
    const [raw] = await this.#db.query<RawRead>('SELECT * FROM turn_usage_reads WHERE node_id = ?', [nodeId]);
    if (!raw) return null;
    return {
      nodeId: raw.node_id,
      boot: raw.boot,
      counters: JSON.parse(raw.counters) as TurnReadRow['counters'],
      readAtMs: raw.read_at,
      sequence: raw.sequence,
    };
  }

  /** Stores a read that began from the one with `next.sequence - 1`; fails the batch when that is not the newest. */
  setTurnRead(next: TurnReadRow): Statement[] {
    return [
      ...guard(
        'the last read is still the last',
        'COALESCE((SELECT sequence FROM turn_usage_reads WHERE node_id = ?), 0) = ?',
        [next.nodeId, next.sequence - 1],
      ),
      {
        sql: `INSERT INTO turn_usage_reads (node_id, boot, counters, read_at, sequence) VALUES (?, ?, ?, ?, ?)
              ON CONFLICT (node_id) DO UPDATE SET boot = excluded.boot, counters = excluded.counters,
                read_at = excluded.read_at, sequence = excluded.sequence`,
        params: [next.nodeId, next.boot, JSON.stringify(next.counters), next.readAtMs, next.sequence],
      },
    ];
  }
}
