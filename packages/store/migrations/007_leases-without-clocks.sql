-- No clocks are compared: whoever watches a counter measures with its own clock for how long it stands still.
ALTER TABLE leases DROP COLUMN expires_at;
ALTER TABLE leases ADD COLUMN renewals INTEGER NOT NULL DEFAULT 0;
-- When the holder took it, by the holder's clock; shown only.
ALTER TABLE leases ADD COLUMN since INTEGER NOT NULL DEFAULT 0;

-- Raised by every heartbeat.
ALTER TABLE nodes ADD COLUMN beats INTEGER NOT NULL DEFAULT 0;
-- Whether the heartbeats come, as the holder of the lease `liveness` sees it, and since when by its clock.
ALTER TABLE nodes ADD COLUMN reachable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN reachable_since INTEGER NOT NULL DEFAULT 0;
