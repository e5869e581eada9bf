-- Only the audio of so many loudest publishers is forwarded in the room; NULL is everybody's.
ALTER TABLE webrtc_rooms ADD COLUMN max_speakers INTEGER;
