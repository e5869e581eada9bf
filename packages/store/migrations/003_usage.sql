-- What namespaces used, by hour (its start). Kept for as long as the namespace exists, whether or not WebRTC is on.
CREATE TABLE usage (
  namespace TEXT NOT NULL REFERENCES namespaces (name),
  hour INTEGER NOT NULL,
  -- Application data through TURN: in from clients to peers, out from peers to clients.
  relayed_bytes_in INTEGER NOT NULL DEFAULT 0,
  relayed_bytes_out INTEGER NOT NULL DEFAULT 0,
  relayed_packets_in INTEGER NOT NULL DEFAULT 0,
  relayed_packets_out INTEGER NOT NULL DEFAULT 0,
  allocations INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (namespace, hour)
);

-- How far the counters of a node's TURN server are in `usage`. `counters` is JSON, by namespace.
CREATE TABLE turn_usage_reads (
  node_id TEXT PRIMARY KEY,
  boot TEXT NOT NULL,
  counters TEXT NOT NULL,
  read_at INTEGER NOT NULL,
  -- Raised by every write, so that one that started from an older read is refused.
  sequence INTEGER NOT NULL
);
