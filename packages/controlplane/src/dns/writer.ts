import type { DnsRecordRow } from '@orama/store';

/** A record as it is served. */
export type DnsRecord = Pick<DnsRecordRow, 'fqdn' | 'type' | 'value' | 'ttlSec'>;

/** The type of the record that leads to an address. */
export function addressType(address: string): 'A' | 'AAAA' {
  return address.includes(':') ? 'AAAA' : 'A';
}

/** Brings records to where they are served from. One file per provider beside this one. */
export interface DnsWriter {
  /** Whether every node serves records of its own. Where it does not, who holds the lease `dns` writes for all. */
  readonly onEveryNode: boolean;
  /**
   * Whether exactly these records are served now.
   * @param nodeAddresses the public addresses of all nodes, by which a name that others use is known to be ours
   */
  isCurrent(records: readonly DnsRecord[], nodeAddresses: readonly string[]): Promise<boolean>;
  /** Serves exactly these records, replacing all that were served before in one step. */
  write(records: readonly DnsRecord[], nodeAddresses: readonly string[]): Promise<void>;
}
