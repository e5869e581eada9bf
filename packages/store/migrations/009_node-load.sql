-- What a node says of its load over the last minutes, as JSON; '{}' before it said anything.
ALTER TABLE nodes ADD COLUMN load TEXT NOT NULL DEFAULT '{}';
