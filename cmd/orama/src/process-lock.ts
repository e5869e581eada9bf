import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { UserError } from '@orama/core';
import { type ProcessIdentity, processIdentitySchema } from './dev/state.ts';
import { identify, isRunning } from './process-identity.ts';

/** A file that names the process which holds it, by number and start time: one process at a time does what it is for. */
export class ProcessLock {
  readonly #file: string;
  readonly #owner: ProcessIdentity;

  private constructor(file: string, owner: ProcessIdentity) {
    this.#file = file;
    this.#owner = owner;
  }

  /**
   * Takes it for this process. A lock whose process is gone is taken over.
   * @param held the error where a running process holds it
   */
  static acquire(file: string, held: (holder: ProcessIdentity) => UserError): ProcessLock {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const owner = identify(process.pid);
    if (!owner) throw new UserError('UNAVAILABLE', 'this needs Linux: there is no /proc here');
    // A link appears whole or not at all, so nobody ever reads half a lock.
    const candidate = `${file}.${owner.pid}`;
    writeFileSync(candidate, JSON.stringify(owner), { mode: 0o600 });
    try {
      while (!tryLink(candidate, file)) {
        const holder = readLock(file);
        if (isRunning(holder)) throw held(holder);
        setStaleAside(file, `${file}.stale.${owner.pid}`);
      }
      return new ProcessLock(file, owner);
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

/** The running process that holds it, or undefined where none does. */
export function holderOf(file: string): ProcessIdentity | undefined {
  const holder = readLock(file);
  return isRunning(holder) ? holder : undefined;
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
