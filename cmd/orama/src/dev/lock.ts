import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '@orama/core';
import { identify, isRunning } from '../process-identity.ts';
import { type ProcessIdentity, processIdentitySchema } from './state.ts';

/** One supervisor a data directory: a file that names the process which holds it, by number and start time. */
export class DevLock {
  readonly #file: string;
  readonly #owner: ProcessIdentity;

  private constructor(file: string, owner: ProcessIdentity) {
    this.#file = file;
    this.#owner = owner;
  }

  /**
   * Takes the lock of a data directory for this process. A lock whose process is gone is taken over.
   * Throws `CONFLICT` while another supervisor holds it.
   */
  static acquire(dataDir: string): DevLock {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const owner = identify(process.pid);
    if (!owner) throw new UserError('UNAVAILABLE', 'a local cluster needs Linux: there is no /proc here');
    const file = lockFile(dataDir);
    // A link appears whole or not at all, so nobody ever reads half a lock.
    const candidate = `${file}.${owner.pid}`;
    writeFileSync(candidate, JSON.stringify(owner), { mode: 0o600 });
    try {
      while (!tryLink(candidate, file)) {
        const holder = readLock(file);
        if (isRunning(holder)) {
          throw new UserError('CONFLICT', `a local cluster already runs on ${dataDir} (process ${holder.pid})`, {
            hint: 'see it with "orama dev status", stop it with "orama dev stop", or start another with --data-dir, --loopback-prefix and --http-port',
          });
        }
        setStaleAside(file, `${file}.stale.${owner.pid}`);
      }
      return new DevLock(file, owner);
    } finally {
      rmSync(candidate, { force: true });
    }
  }

  /** Gives it back. Nothing happens when someone else holds it by now. */
  release(): void {
    const holder = readLock(this.#file);
    if (holder?.pid === this.#owner.pid && holder.startTime === this.#owner.startTime) rmSync(this.#file);
  }
}

/** The process that supervises a data directory, or undefined when none does. */
export function lockHolder(dataDir: string): ProcessIdentity | undefined {
  const holder = readLock(lockFile(dataDir));
  return isRunning(holder) ? holder : undefined;
}

function lockFile(dataDir: string): string {
  return join(dataDir, 'dev.lock');
}

function readLock(file: string): ProcessIdentity | undefined {
  try {
    return processIdentitySchema.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined;
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
}

// Between our look and our rename another starter may have replaced the stale lock by its own: then it goes back.
function setStaleAside(file: string, aside: string): void {
  try {
    renameSync(file, aside);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw thrown;
  }
  if (isRunning(readLock(aside))) tryLink(aside, file);
  rmSync(aside);
}
