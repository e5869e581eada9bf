import type { Database } from '../database.ts';

/** Something that must never be in a store. */
export interface Problem {
  /** What was checked, one word. */
  check: string;
  /** What is wrong, and where. */
  detail: string;
}

/** Two blocks of ports that the same address has twice; constraints see only equal starts. */
const overlaps = (kind: string, start: string, end: string) => `
  SELECT '${kind} ports ' || a.${start} || '-' || a.${end} || ' of ' || a.namespace || ' on ' || a.node_id
      || ' overlap ' || b.${start} || '-' || b.${end} || ' of ' || b.namespace || ' on ' || b.node_id AS detail
    FROM webrtc_port_allocations a JOIN webrtc_port_allocations b
      ON a.host_ip = b.host_ip AND a.rowid < b.rowid AND a.${start} <= b.${end} AND b.${start} <= a.${end}`;

/** Rows of namespaces whose settings are gone. */
const orphans = (table: string, where = '1') => `
  SELECT COUNT(*) || ' rows of ${table} belong to ' || namespace || ', which has no WebRTC settings' AS detail
    FROM ${table} WHERE ${where} AND namespace NOT IN (SELECT namespace FROM namespace_webrtc_config) GROUP BY namespace`;

/** Columns that hold JSON, and what names a row. A single one that does not parse stops whoever reads the table. */
const JSON_COLUMNS = [
  ['nodes', 'core_status', 'id'],
  ['nodes', 'load', 'id'],
  ['namespace_webrtc_config', 'retired_turn_shared_secrets', 'namespace'],
  ['webrtc_rooms', 'metadata', `namespace || ' ' || room_id`],
  ['service_reports', 'details', `namespace || ' ' || service || ' ' || node_id`],
  ['turn_usage_reads', 'counters', 'node_id'],
];
const noJson = JSON_COLUMNS.map(
  ([table, column, key]) => `
  SELECT '${column} of "' || ${key} || '" in ${table} is no JSON' AS detail
    FROM ${table} WHERE ${column} IS NOT NULL AND NOT json_valid(${column})`,
).join(' UNION ALL ');

/** Queries that find nothing in a sound store. */
const INVARIANTS: Record<string, string> = {
  'sfu-ports': overlaps('SFU media', 'sfu_media_port_start', 'sfu_media_port_end'),
  'turn-ports': overlaps('TURN relay', 'turn_relay_port_start', 'turn_relay_port_end'),
  'sfu-and-turn-ports': `
  SELECT 'SFU media ports ' || a.sfu_media_port_start || '-' || a.sfu_media_port_end || ' of ' || a.namespace || ' on ' || a.node_id
      || ' overlap TURN relay ports ' || b.turn_relay_port_start || '-' || b.turn_relay_port_end || ' of ' || b.namespace || ' on ' || b.node_id AS detail
    FROM webrtc_port_allocations a JOIN webrtc_port_allocations b
      ON a.host_ip = b.host_ip AND a.sfu_media_port_start <= b.turn_relay_port_end AND b.turn_relay_port_start <= a.sfu_media_port_end`,
  // A block that is on its way out may outlive its namespace's settings.
  allocations: orphans('webrtc_port_allocations', 'leaving_at IS NULL'),
  reports: orphans('service_reports'),
  rooms: orphans('webrtc_rooms'),
  'dns-records': orphans('dns_records'),
  'room-nodes': `
    SELECT 'room ' || room_id || ' of ' || namespace || ' is on ' || sfu_node_id || ', which is no node' AS detail
      FROM webrtc_rooms WHERE sfu_node_id IS NOT NULL AND sfu_node_id NOT IN (SELECT id FROM nodes)`,
  generations: `
    SELECT 'settings of ' || c.namespace || ' have generation ' || c.generation || ', the namespace ' || n.webrtc_generation AS detail
      FROM namespace_webrtc_config c JOIN namespaces n ON n.name = c.namespace WHERE c.generation > n.webrtc_generation`,
  operations: `
    SELECT c.namespace || ' is ' || c.state || ', and no operation ends that' AS detail
      FROM namespace_webrtc_config c WHERE c.state <> 'enabled' AND NOT EXISTS
        (SELECT 1 FROM operations o WHERE o.namespace = c.namespace AND o.state = 'running')
    UNION ALL
    SELECT kind || ' ' || id || ' of ' || namespace || ' runs, and its WebRTC settings are gone' AS detail
      FROM operations WHERE state = 'running' AND namespace IS NOT NULL
        AND namespace NOT IN (SELECT namespace FROM namespace_webrtc_config)`,
  json: noJson,
  'change-counter': `SELECT 'the change counter has ' || COUNT(*) || ' rows' AS detail FROM change_counter HAVING COUNT(*) <> 1`,
  guards: `SELECT 'guard "' || name || '" was left behind' AS detail FROM batch_guards`,
};

/** Looks for rows that break what the programs rely on. The schema must be this program's. */
export async function checkInvariants(db: Database): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const [check, sql] of Object.entries(INVARIANTS)) {
    for (const { detail } of await db.query<{ detail: string }>(sql)) problems.push({ check, detail });
  }
  return problems;
}
