import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The checkout or release that this program belongs to, where it finds what is no code: migrations, the call page, other
 * programs. It is three folders up from here as a source, and from a bundle, `cmd/<program>/dist`.
 */
export const INSTALL_DIR: string = join(import.meta.dirname, '../../..');

/** Of the programs as they were when this one started: those on the disk may have been replaced since. */
export const VERSION: string = readVersion();

function readVersion(): string {
  const file = join(INSTALL_DIR, 'cmd/controlplane/package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
