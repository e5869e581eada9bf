import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '@orama/core';
import { txtStrings } from './txt.ts';
import type { DnsRecord, DnsWriter } from './writer.ts';

const HEADER =
  '; Records of Orama WebRTC (RFC 1035 master file). Written by the controlplane: include it, do not edit it.\n';

/** The records as master-file lines, in a fixed order. */
export function formatZone(records: readonly DnsRecord[]): string {
  return (
    HEADER +
    records
      .map((record) => `${record.fqdn}. ${record.ttlSec} IN ${record.type} ${presentation(record)}\n`)
      .sort()
      .join('')
  );
}

/** The data of a record in the form of a master file (RFC 1035 section 5.1). */
function presentation({ type, value }: DnsRecord): string {
  return type === 'TXT' ? txtStrings(value).map(quoted).join(' ') : value;
}

function quoted(bytes: Buffer): string {
  const text = bytes
    .toString('latin1')
    .replace(/[^ !#-[\]-~]/g, (character) =>
      character === '"' || character === '\\'
        ? `\\${character}`
        : `\\${String(character.charCodeAt(0)).padStart(3, '0')}`,
    );
  return `"${text}"`;
}

/** Writes the records to a file that a DNS server includes in its zone; on every node, for each may have a server. */
export class ZoneFileWriter implements DnsWriter {
  readonly onEveryNode = true;
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  async isCurrent(records: readonly DnsRecord[]): Promise<boolean> {
    try {
      return (await readFile(this.#file, 'utf8')) === formatZone(records);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw thrown;
    }
  }

  async write(records: readonly DnsRecord[]): Promise<void> {
    // Readable by all: a DNS server runs as another user, and nothing in it is secret.
    await writeFileAtomic(this.#file, formatZone(records), 0o644);
  }
}
