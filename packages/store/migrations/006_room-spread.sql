-- Whether clients of the room may be served by several SFUs of the namespace, from the first on.
ALTER TABLE webrtc_rooms ADD COLUMN spread INTEGER NOT NULL DEFAULT 0;
