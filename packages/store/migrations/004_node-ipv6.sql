-- Second public address of a node, for clients that come over IPv6.
ALTER TABLE nodes ADD COLUMN public_ip6 TEXT;
