import { DatabaseSync } from 'node:sqlite';

/** Port block of a namespace on a node, as the store has it. */
export interface PortBlock {
  nodeId: string;
  address: string;
  service: string;
  signallingPort: number | null;
  mediaPorts: [number, number] | null;
  relayPorts: [number, number] | null;
}

/** What outlives a namespace's WebRTC: its keys belong to the namespace, the others are history. */
const KEPT_TABLES = ['keys', 'operations', 'audit', 'usage'];

/** Looks into the cluster's database, read-only and with a driver of its own: the product's code has no part in it. */
export function readDatabase<T>(file: string, read: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return read(database);
  } finally {
    database.close();
  }
}

/** How many rows each table has for the namespace; tables without any are left out. */
export function rowsOf(file: string, namespace: string): Record<string, number> {
  return readDatabase(file, (database) => {
    const tables = database
      .prepare(
        `SELECT m.name AS name FROM sqlite_master m, pragma_table_info(m.name) c
         WHERE m.type = 'table' AND c.name = 'namespace' ORDER BY m.name`,
      )
      .all() as { name: string }[];
    const counts: Record<string, number> = {};
    for (const { name } of tables.filter((table) => !KEPT_TABLES.includes(table.name))) {
      const row = database.prepare(`SELECT count(*) AS count FROM "${name}" WHERE namespace = ?`).get(namespace);
      if (row && Number(row.count) > 0) counts[name] = Number(row.count);
    }
    return counts;
  });
}

/** Every row of every table as text, so that two moments can be compared; times of reports and leases move on their own. */
export function snapshotOf(file: string, tables: readonly string[]): string {
  return readDatabase(file, (database) =>
    tables
      .map((table) => `${table}: ${JSON.stringify(database.prepare(`SELECT * FROM "${table}" ORDER BY 1, 2`).all())}`)
      .join('\n'),
  );
}

/** The port blocks of a namespace. */
export function portBlocksOf(file: string, namespace: string): PortBlock[] {
  return readDatabase(file, (database) => {
    const rows = database
      .prepare('SELECT * FROM webrtc_port_allocations WHERE namespace = ? ORDER BY node_id, service_type')
      .all(namespace) as Record<string, string | number | null>[];
    const range = (start: unknown, end: unknown): [number, number] | null =>
      start === null ? null : [Number(start), Number(end)];
    return rows.map((row) => ({
      nodeId: String(row.node_id),
      address: String(row.host_ip),
      service: String(row.service_type),
      signallingPort: row.sfu_signaling_port === null ? null : Number(row.sfu_signaling_port),
      mediaPorts: range(row.sfu_media_port_start, row.sfu_media_port_end),
      relayPorts: range(row.turn_relay_port_start, row.turn_relay_port_end),
    }));
  });
}
