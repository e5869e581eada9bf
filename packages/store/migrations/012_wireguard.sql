-- The node's WireGuard interface where its controlplane keeps the peers: its public key, and where others reach it.
ALTER TABLE nodes ADD COLUMN wireguard_public_key TEXT;
ALTER TABLE nodes ADD COLUMN wireguard_endpoint TEXT;
-- Two nodes that join at one moment must not get the same address or key. Nodes in development may share addresses.
CREATE UNIQUE INDEX nodes_wireguard_key ON nodes (wireguard_public_key) WHERE wireguard_public_key IS NOT NULL;

-- Machines that may join: each invitation is for one, and good for a short time.
CREATE TABLE invitations (
  id TEXT PRIMARY KEY,
  created_by TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  -- The node that took it, and its WireGuard key or else its address: it may ask again, nobody else may.
  node_id TEXT,
  taken_by TEXT
);
