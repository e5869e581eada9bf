import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Makes an NSS database in `folder`, which both browsers read, that trusts one more authority for servers. */
export async function trustAuthority(folder: string, certificate: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'authority.pem');
  writeFileSync(file, certificate);
  const database = ['-d', `sql:${folder}`];
  await run('certutil', [...database, '-N', '--empty-password']);
  await run('certutil', [...database, '-A', '-n', 'test authority', '-t', 'C,,', '-i', file]);
}
