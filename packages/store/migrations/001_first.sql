-- Times are milliseconds since the Unix epoch unless a column says otherwise.
-- The SQL here and in the repositories is the common subset of SQLite and rqlite.

-- One row, raised by every write that a reconciler should wake up for.
CREATE TABLE change_counter (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  value INTEGER NOT NULL
);
INSERT INTO change_counter (id, value) VALUES (1, 0);

-- A batch writes here to assert a condition: ok = 0 fails the CHECK and with it the whole batch.
CREATE TABLE batch_guards (
  name TEXT NOT NULL,
  ok INTEGER NOT NULL CONSTRAINT batch_guard CHECK (ok = 1)
);

CREATE TABLE nodes (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  wireguard_ip TEXT NOT NULL,
  public_ip TEXT NOT NULL,
  region TEXT NOT NULL DEFAULT 'default',
  capacity INTEGER NOT NULL DEFAULT 100,
  version TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'draining', 'gone')),
  core_status TEXT NOT NULL DEFAULT '[]',
  last_seen_at INTEGER NOT NULL
);

CREATE TABLE namespaces (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL DEFAULT 'active',
  owner TEXT NOT NULL,
  -- Raised by every enable, so that what an earlier life left behind is always older.
  webrtc_generation INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
);

CREATE TABLE namespace_webrtc_config (
  namespace TEXT PRIMARY KEY REFERENCES namespaces (name),
  state TEXT NOT NULL CHECK (state IN ('enabling', 'enabled', 'disabling')),
  enabled INTEGER NOT NULL DEFAULT 1,
  turn_shared_secret TEXT NOT NULL,
  previous_turn_shared_secret TEXT,
  previous_secret_expires_at INTEGER,
  turn_credential_ttl INTEGER NOT NULL DEFAULT 600,
  sfu_node_count INTEGER NOT NULL DEFAULT 3,
  turn_node_count INTEGER NOT NULL DEFAULT 2,
  peer_policy TEXT NOT NULL DEFAULT 'sfu' CHECK (peer_policy IN ('sfu', 'public')),
  max_allocations INTEGER NOT NULL DEFAULT 800,
  enabled_by TEXT NOT NULL,
  enabled_at INTEGER NOT NULL,
  disabled_at INTEGER,
  generation INTEGER NOT NULL
);

CREATE TABLE webrtc_port_allocations (
  node_id TEXT NOT NULL REFERENCES nodes (id),
  -- The address the ports are bound on; nodes may share it in development.
  host_ip TEXT NOT NULL,
  namespace TEXT NOT NULL REFERENCES namespaces (name),
  service_type TEXT NOT NULL CHECK (service_type IN ('sfu', 'turn')),
  sfu_signaling_port INTEGER,
  sfu_media_port_start INTEGER,
  sfu_media_port_end INTEGER,
  turn_listen_port INTEGER,
  turn_tls_port INTEGER,
  turn_relay_port_start INTEGER,
  turn_relay_port_end INTEGER,
  allocated_at INTEGER NOT NULL,
  PRIMARY KEY (node_id, namespace, service_type)
);
CREATE UNIQUE INDEX webrtc_ports_sfu_signaling ON webrtc_port_allocations (host_ip, sfu_signaling_port) WHERE sfu_signaling_port IS NOT NULL;
CREATE UNIQUE INDEX webrtc_ports_sfu_media ON webrtc_port_allocations (host_ip, sfu_media_port_start) WHERE sfu_media_port_start IS NOT NULL;
CREATE UNIQUE INDEX webrtc_ports_turn_relay ON webrtc_port_allocations (host_ip, turn_relay_port_start) WHERE turn_relay_port_start IS NOT NULL;

CREATE TABLE webrtc_rooms (
  namespace TEXT NOT NULL REFERENCES namespaces (name),
  room_id TEXT NOT NULL,
  sfu_node_id TEXT,
  sfu_internal_ip TEXT,
  sfu_signaling_port INTEGER,
  participant_count INTEGER NOT NULL DEFAULT 0,
  max_participants INTEGER NOT NULL DEFAULT 100,
  metadata TEXT,
  -- 'join': made by the first to join, removed when empty; 'api': made by its owner, stays until deleted.
  created_by TEXT NOT NULL DEFAULT 'join' CHECK (created_by IN ('join', 'api')),
  created_at INTEGER NOT NULL,
  last_activity INTEGER NOT NULL,
  -- Raised whenever the room is claimed by another SFU.
  generation INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (namespace, room_id)
);
CREATE INDEX webrtc_rooms_by_node ON webrtc_rooms (sfu_node_id);

CREATE TABLE dns_records (
  fqdn TEXT NOT NULL,
  record_type TEXT NOT NULL CHECK (record_type IN ('A', 'AAAA')),
  value TEXT NOT NULL,
  ttl INTEGER NOT NULL DEFAULT 60,
  namespace TEXT NOT NULL,
  node_id TEXT NOT NULL,
  is_active INTEGER NOT NULL DEFAULT 1,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (fqdn, record_type, value)
);
CREATE INDEX dns_records_by_namespace ON dns_records (namespace);

CREATE TABLE service_reports (
  node_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  -- 'sfu', 'turn', 'state-file'
  service TEXT NOT NULL,
  desired TEXT NOT NULL CHECK (desired IN ('running', 'absent')),
  observed TEXT NOT NULL CHECK (observed IN ('running', 'starting', 'failed', 'absent')),
  healthy INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  reason TEXT,
  details TEXT NOT NULL DEFAULT '{}',
  since INTEGER NOT NULL,
  reported_at INTEGER NOT NULL,
  PRIMARY KEY (node_id, namespace, service)
);

CREATE TABLE operations (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('enable-webrtc', 'disable-webrtc')),
  namespace TEXT NOT NULL,
  generation INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
  error_code TEXT,
  error_message TEXT,
  requested_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  finished_at INTEGER
);
CREATE UNIQUE INDEX operations_one_running ON operations (namespace) WHERE state = 'running';

CREATE TABLE operation_steps (
  operation_id TEXT NOT NULL REFERENCES operations (id),
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed')),
  detail TEXT,
  started_at INTEGER,
  finished_at INTEGER,
  PRIMARY KEY (operation_id, name)
);

CREATE TABLE leases (
  name TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  generation INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
);

CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  namespace TEXT NOT NULL REFERENCES namespaces (name),
  kind TEXT NOT NULL CHECK (kind IN ('owner')),
  -- Hex SHA-256 of the key; the key itself is never stored.
  hash TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked')),
  created_at INTEGER NOT NULL
);
CREATE INDEX keys_by_namespace ON keys (namespace);

CREATE TABLE audit (
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  namespace TEXT,
  result TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);
