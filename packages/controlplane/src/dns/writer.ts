import type { DnsRecordRow } from '@orama/store';

/** Brings records to where they are served from. One file per provider beside this one. */
export interface DnsWriter {
  /** Whether exactly these records are served now. */
  isCurrent(records: readonly DnsRecordRow[]): Promise<boolean>;
  /** Serves exactly these records, replacing all that were served before in one step. */
  write(records: readonly DnsRecordRow[]): Promise<void>;
}
