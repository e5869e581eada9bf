import type { Database, Statement } from '../database.ts';

/** What a node says about one thing it keeps true for a namespace. */
export interface ServiceReportRow {
  nodeId: string;
  namespace: string;
  /** `sfu`, `turn`, `state-file`, or `dns` with `cluster` for a node. */
  service: string;
  desired: 'running' | 'absent';
  observed: 'running' | 'starting' | 'failed' | 'absent';
  healthy: boolean;
  /** Generation of the configuration that is in effect. */
  generation: number;
  reason: string | null;
  /** Counters such as allocations or peers. */
  details: Record<string, unknown>;
  /** Since when it is in this state. */
  sinceMs: number;
  reportedAtMs: number;
}

interface Raw {
  node_id: string;
  namespace: string;
  service: string;
  desired: 'running' | 'absent';
  observed: 'running' | 'starting' | 'failed' | 'absent';
  healthy: number;
  generation: number;
  reason: string | null;
  details: string;
  since: number;
  reported_at: number;
}

const fromRaw = (raw: Raw): ServiceReportRow => ({
  nodeId: raw.node_id,
  namespace: raw.namespace,
  service: raw.service,
  desired: raw.desired,
  observed: raw.observed,
  healthy: raw.healthy === 1,
  generation: raw.generation,
  reason: raw.reason,
  details: JSON.parse(raw.details) as Record<string, unknown>,
  sinceMs: raw.since,
  reportedAtMs: raw.reported_at,
});

/** Observed state, reported by each node. */
export class ServiceReportsRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(): Promise<ServiceReportRow[]> {
    return (await this.#db.query<Raw>('SELECT * FROM service_reports ORDER BY namespace, service, node_id')).map(
      fromRaw,
    );
  }

  async listOf(namespace: string): Promise<ServiceReportRow[]> {
    return (
      await this.#db.query<Raw>('SELECT * FROM service_reports WHERE namespace = ? ORDER BY service, node_id', [
        namespace,
      ])
    ).map(fromRaw);
  }

  async listOfService(service: string): Promise<ServiceReportRow[]> {
    const rows = await this.#db.query<Raw>(
      'SELECT * FROM service_reports WHERE service = ? ORDER BY namespace, node_id',
      [service],
    );
    return rows.map(fromRaw);
  }

  /** Reports of all nodes about the namespaces that have a block on a node. */
  async listAround(nodeId: string): Promise<ServiceReportRow[]> {
    const rows = await this.#db.query<Raw>(
      `SELECT * FROM service_reports
       WHERE namespace IN (SELECT namespace FROM webrtc_port_allocations WHERE node_id = ?) ORDER BY namespace, service, node_id`,
      [nodeId],
    );
    return rows.map(fromRaw);
  }

  /**
   * Writes a report; `since` is kept while desired, observed and healthy stay the same. Nothing is written once the
   * namespace has no WebRTC settings: a late report must not outlive a disable.
   */
  upsert(row: Omit<ServiceReportRow, 'sinceMs'>): Statement {
    return {
      sql: `INSERT INTO service_reports (node_id, namespace, service, desired, observed, healthy, generation, reason, details, since, reported_at)
            SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ?)
            ON CONFLICT (node_id, namespace, service) DO UPDATE SET
              since = CASE WHEN service_reports.desired = excluded.desired AND service_reports.observed = excluded.observed
                            AND service_reports.healthy = excluded.healthy THEN service_reports.since ELSE excluded.since END,
              desired = excluded.desired, observed = excluded.observed, healthy = excluded.healthy, generation = excluded.generation,
              reason = excluded.reason, details = excluded.details, reported_at = excluded.reported_at`,
      params: [
        row.nodeId,
        row.namespace,
        row.service,
        row.desired,
        row.observed,
        row.healthy ? 1 : 0,
        row.generation,
        row.reason,
        JSON.stringify(row.details),
        row.reportedAtMs,
        row.reportedAtMs,
        row.namespace,
      ],
    };
  }

  removeOf(namespace: string): Statement {
    return { sql: 'DELETE FROM service_reports WHERE namespace = ?', params: [namespace] };
  }
}
