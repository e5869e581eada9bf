import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '@orama/core';
import type { DnsRecordRow } from '@orama/store';
import type { DnsWriter } from './writer.ts';

const HEADER =
  '; Records of Orama WebRTC (RFC 1035 master file). Written by the controlplane: include it, do not edit it.\n';

/** The records as master-file lines, in a fixed order. */
export function formatZone(records: readonly DnsRecordRow[]): string {
  return (
    HEADER +
    records
      .map((record) => `${record.fqdn}. ${record.ttlSec} IN ${record.type} ${record.value}\n`)
      .sort()
      .join('')
  );
}

/** Writes the records to a file that a DNS server includes in its zone. */
export class ZoneFileWriter implements DnsWriter {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  async isCurrent(records: readonly DnsRecordRow[]): Promise<boolean> {
    try {
      return (await readFile(this.#file, 'utf8')) === formatZone(records);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw thrown;
    }
  }

  async write(records: readonly DnsRecordRow[]): Promise<void> {
    // Readable by all: a DNS server runs as another user, and nothing in it is secret.
    await writeFileAtomic(this.#file, formatZone(records), 0o644);
  }
}
