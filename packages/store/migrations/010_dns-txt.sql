-- Records of type TXT, for proofs such as those of ACME (RFC 8555 section 8.4). The type's check cannot be altered in place.
CREATE TABLE dns_records_with_txt (
  fqdn TEXT NOT NULL,
  record_type TEXT NOT NULL CHECK (record_type IN ('A', 'AAAA', 'TXT')),
  value TEXT NOT NULL,
  ttl INTEGER NOT NULL DEFAULT 60,
  namespace TEXT NOT NULL,
  node_id TEXT NOT NULL,
  is_active INTEGER NOT NULL DEFAULT 1,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (fqdn, record_type, value)
);
INSERT INTO dns_records_with_txt (fqdn, record_type, value, ttl, namespace, node_id, is_active, created_by, created_at)
  SELECT fqdn, record_type, value, ttl, namespace, node_id, is_active, created_by, created_at FROM dns_records;
DROP TABLE dns_records;
ALTER TABLE dns_records_with_txt RENAME TO dns_records;
CREATE INDEX dns_records_by_namespace ON dns_records (namespace);
