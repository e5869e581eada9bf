-- What a namespace may ask of its TURN servers; NULL is no limit.
ALTER TABLE namespace_webrtc_config ADD COLUMN max_allocations_per_username INTEGER NOT NULL DEFAULT 400;
ALTER TABLE namespace_webrtc_config ADD COLUMN bytes_per_sec INTEGER;
ALTER TABLE namespace_webrtc_config ADD COLUMN allocation_bytes_per_sec INTEGER;
-- The generation that SFUs run with: settings of TURN alone raise `generation` and restart no SFU.
ALTER TABLE namespace_webrtc_config ADD COLUMN sfu_generation INTEGER NOT NULL DEFAULT 0;
UPDATE namespace_webrtc_config SET sfu_generation = generation;
