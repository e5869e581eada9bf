import { join } from 'node:path';
import { UserError } from '@orama/core';
import { holderOf, ProcessLock } from '../process-lock.ts';
import type { ProcessIdentity } from './state.ts';

/** One supervisor a data directory. Throws `CONFLICT` while another one has it. */
export function lockDataDir(dataDir: string): ProcessLock {
  return ProcessLock.acquire(lockFile(dataDir), ({ pid }) => {
    return new UserError('CONFLICT', `a local cluster already runs on ${dataDir} (process ${pid})`, {
      hint: 'see it with "orama dev status", stop it with "orama dev stop", or start another with --data-dir, --loopback-prefix and --http-port',
    });
  });
}

/** The process that supervises a data directory, or undefined when none does. */
export function lockHolder(dataDir: string): ProcessIdentity | undefined {
  return holderOf(lockFile(dataDir));
}

function lockFile(dataDir: string): string {
  return join(dataDir, 'dev.lock');
}
