import type { Database, Statement } from '../database.ts';

interface AllocationBase {
  nodeId: string;
  /** Address the ports are bound on: the node's WireGuard IP. */
  hostIp: string;
  namespace: string;
  allocatedAtMs: number;
}

export interface SfuAllocationRow extends AllocationBase {
  service: 'sfu';
  signalingPort: number;
  mediaPortStart: number;
  mediaPortEnd: number;
}

export interface TurnAllocationRow extends AllocationBase {
  service: 'turn';
  listenPort: number;
  tlsPort: number;
  relayPortStart: number;
  relayPortEnd: number;
}

/** Which node runs which service of a namespace, on which ports. Placement and ports are one row. */
export type PortAllocationRow = SfuAllocationRow | TurnAllocationRow;

/** A block that nobody else may have: placed (`leavingSinceMs` null), or left by its namespace and not confirmed free yet. */
export type TakenBlockRow = PortAllocationRow & { leavingSinceMs: number | null };

/** What names a row. */
export type AllocationKey = Pick<PortAllocationRow, 'nodeId' | 'namespace' | 'service'>;

interface Raw {
  node_id: string;
  host_ip: string;
  namespace: string;
  service_type: 'sfu' | 'turn';
  sfu_signaling_port: number;
  sfu_media_port_start: number;
  sfu_media_port_end: number;
  turn_listen_port: number;
  turn_tls_port: number;
  turn_relay_port_start: number;
  turn_relay_port_end: number;
  allocated_at: number;
  leaving_at: number | null;
}

function fromRaw(raw: Raw): PortAllocationRow {
  const base = { nodeId: raw.node_id, hostIp: raw.host_ip, namespace: raw.namespace, allocatedAtMs: raw.allocated_at };
  return raw.service_type === 'sfu'
    ? {
        ...base,
        service: 'sfu',
        signalingPort: raw.sfu_signaling_port,
        mediaPortStart: raw.sfu_media_port_start,
        mediaPortEnd: raw.sfu_media_port_end,
      }
    : {
        ...base,
        service: 'turn',
        listenPort: raw.turn_listen_port,
        tlsPort: raw.turn_tls_port,
        relayPortStart: raw.turn_relay_port_start,
        relayPortEnd: raw.turn_relay_port_end,
      };
}

const takenFromRaw = (raw: Raw): TakenBlockRow => ({ ...fromRaw(raw), leavingSinceMs: raw.leaving_at });

/**
 * Port blocks; unique per address and start port, so that two namespaces can never hold the same block. Where a service
 * was moved away its row stays, with `leaving_at`, until its node confirms that the service is gone.
 */
export class PortAllocationsRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Where services are to run. */
  async list(): Promise<PortAllocationRow[]> {
    const rows = await this.#db.query<Raw>(
      `SELECT * FROM webrtc_port_allocations WHERE leaving_at IS NULL ORDER BY namespace, service_type, node_id`,
    );
    return rows.map(fromRaw);
  }

  /** Where the services of a namespace are to run. */
  async listOf(namespace: string): Promise<PortAllocationRow[]> {
    const rows = await this.#db.query<Raw>(
      `SELECT * FROM webrtc_port_allocations WHERE namespace = ? AND leaving_at IS NULL ORDER BY service_type, node_id`,
      [namespace],
    );
    return rows.map(fromRaw);
  }

  /** Every block that is taken. */
  async listTaken(): Promise<TakenBlockRow[]> {
    const rows = await this.#db.query<Raw>(
      'SELECT * FROM webrtc_port_allocations ORDER BY namespace, service_type, node_id',
    );
    return rows.map(takenFromRaw);
  }

  /** Every block that a namespace takes. */
  async listTakenBy(namespace: string): Promise<TakenBlockRow[]> {
    const rows = await this.#db.query<Raw>(
      'SELECT * FROM webrtc_port_allocations WHERE namespace = ? ORDER BY service_type, node_id',
      [namespace],
    );
    return rows.map(takenFromRaw);
  }

  /** Fails the batch when the block is taken. */
  insert(row: PortAllocationRow): Statement {
    return row.service === 'sfu'
      ? {
          sql: `INSERT INTO webrtc_port_allocations
                  (node_id, host_ip, namespace, service_type, sfu_signaling_port, sfu_media_port_start, sfu_media_port_end, allocated_at)
                VALUES (?, ?, ?, 'sfu', ?, ?, ?, ?)`,
          params: [
            row.nodeId,
            row.hostIp,
            row.namespace,
            row.signalingPort,
            row.mediaPortStart,
            row.mediaPortEnd,
            row.allocatedAtMs,
          ],
        }
      : {
          sql: `INSERT INTO webrtc_port_allocations
                  (node_id, host_ip, namespace, service_type, turn_listen_port, turn_tls_port, turn_relay_port_start, turn_relay_port_end, allocated_at)
                VALUES (?, ?, ?, 'turn', ?, ?, ?, ?, ?)`,
          params: [
            row.nodeId,
            row.hostIp,
            row.namespace,
            row.listenPort,
            row.tlsPort,
            row.relayPortStart,
            row.relayPortEnd,
            row.allocatedAtMs,
          ],
        };
  }

  /** Takes a service away from a node: it is not desired there any more, and its block stays taken until `release`. */
  leave({ nodeId, namespace, service }: AllocationKey, nowMs: number): Statement {
    return {
      sql: `UPDATE webrtc_port_allocations SET leaving_at = ?
            WHERE node_id = ? AND namespace = ? AND service_type = ? AND leaving_at IS NULL`,
      params: [nowMs, nodeId, namespace, service],
    };
  }

  /** Frees a block that was left, with what its node has reported; only once the service is confirmed gone. */
  release({ nodeId, namespace, service }: AllocationKey): Statement[] {
    return [
      {
        sql: `DELETE FROM webrtc_port_allocations WHERE node_id = ? AND namespace = ? AND service_type = ? AND leaving_at IS NOT NULL`,
        params: [nodeId, namespace, service],
      },
      // The last of the node's services takes along what was said of its state file.
      {
        sql: `DELETE FROM service_reports WHERE node_id = ? AND namespace = ? AND (
                service = ? AND NOT EXISTS
                  (SELECT 1 FROM webrtc_port_allocations WHERE node_id = ? AND namespace = ? AND service_type = ?)
                OR NOT EXISTS (SELECT 1 FROM webrtc_port_allocations WHERE node_id = ? AND namespace = ?))`,
        params: [nodeId, namespace, service, nodeId, namespace, service, nodeId, namespace],
      },
    ];
  }

  /** Releases every block of a namespace; only once its services are confirmed gone. */
  removeOf(namespace: string): Statement {
    return { sql: 'DELETE FROM webrtc_port_allocations WHERE namespace = ?', params: [namespace] };
  }
}
