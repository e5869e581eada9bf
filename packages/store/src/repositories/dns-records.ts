import type { Database, Statement } from '../database.ts';

export type DnsRecordType = 'A' | 'AAAA' | 'TXT';

export interface DnsRecordRow {
  /** Without the trailing dot. */
  fqdn: string;
  type: DnsRecordType;
  /** An address, or the text of a TXT record. */
  value: string;
  ttlSec: number;
  namespace: string;
  nodeId: string;
  createdBy: string;
  createdAtMs: number;
}

interface Raw {
  fqdn: string;
  record_type: DnsRecordType;
  value: string;
  ttl: number;
  namespace: string;
  node_id: string;
  created_by: string;
  created_at: number;
}

/** Records that the DNS writer serves. */
export class DnsRecordsRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(): Promise<DnsRecordRow[]> {
    const rows = await this.#db.query<Raw>(
      'SELECT * FROM dns_records WHERE is_active = 1 ORDER BY fqdn, record_type, value',
    );
    return rows.map((raw) => ({
      fqdn: raw.fqdn,
      type: raw.record_type,
      value: raw.value,
      ttlSec: raw.ttl,
      namespace: raw.namespace,
      nodeId: raw.node_id,
      createdBy: raw.created_by,
      createdAtMs: raw.created_at,
    }));
  }

  /** Replaces all records of a namespace in the batch it becomes part of. */
  replaceOf(namespace: string, records: DnsRecordRow[]): Statement[] {
    return [
      { sql: 'DELETE FROM dns_records WHERE namespace = ?', params: [namespace] },
      ...records.map((record) => ({
        sql: `INSERT INTO dns_records (fqdn, record_type, value, ttl, namespace, node_id, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        params: [
          record.fqdn,
          record.type,
          record.value,
          record.ttlSec,
          namespace,
          record.nodeId,
          record.createdBy,
          record.createdAtMs,
        ],
      })),
    ];
  }
}
