-- Operations are also about nodes, and of more kinds; the programs know which.
CREATE TABLE operations_of_all_kinds (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  namespace TEXT,
  node_id TEXT,
  generation INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
  error_code TEXT,
  error_message TEXT,
  requested_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  -- When whatever is left is ended.
  deadline_at INTEGER,
  CHECK ((namespace IS NULL) <> (node_id IS NULL))
);
INSERT INTO operations_of_all_kinds
    (id, kind, namespace, generation, state, error_code, error_message, requested_by, created_at, finished_at)
  SELECT id, kind, namespace, generation, state, error_code, error_message, requested_by, created_at, finished_at FROM operations;
CREATE TABLE steps_of_all_kinds (
  operation_id TEXT NOT NULL REFERENCES operations_of_all_kinds (id),
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed')),
  detail TEXT,
  started_at INTEGER,
  finished_at INTEGER,
  PRIMARY KEY (operation_id, name)
);
INSERT INTO steps_of_all_kinds (operation_id, name, position, state, detail, started_at, finished_at)
  SELECT operation_id, name, position, state, detail, started_at, finished_at FROM operation_steps;
DROP TABLE operation_steps;
DROP TABLE operations;
ALTER TABLE operations_of_all_kinds RENAME TO operations;
ALTER TABLE steps_of_all_kinds RENAME TO operation_steps;
CREATE UNIQUE INDEX operations_one_running ON operations (namespace) WHERE state = 'running';
CREATE UNIQUE INDEX operations_one_running_of_node ON operations (node_id) WHERE state = 'running';

-- A rotation: the secret that takes over once every TURN server knows it, and those before the former one (JSON, newest first).
ALTER TABLE namespace_webrtc_config ADD COLUMN next_turn_shared_secret TEXT;
ALTER TABLE namespace_webrtc_config ADD COLUMN retired_turn_shared_secrets TEXT NOT NULL DEFAULT '[]';
-- SFUs take up other settings while they run.
ALTER TABLE namespace_webrtc_config DROP COLUMN sfu_generation;

-- Since when a service is to leave its node; its block is released once it is confirmed gone.
ALTER TABLE webrtc_port_allocations ADD COLUMN leaving_at INTEGER;
