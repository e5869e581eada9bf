import { existsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * One-shot crash points for tests that walk the steps of an operation. `hit(name)` kills the process like `kill -9`
 * when a file of that name lies in the directory, and removes the file first, so that the restarted process passes.
 * Without a directory it does nothing.
 */
export class Failpoints {
  readonly #dir: string | undefined;

  constructor(dir?: string) {
    this.#dir = dir;
  }

  hit(name: string): void {
    if (this.#dir === undefined) return;
    const file = join(this.#dir, name.replaceAll(/[^a-z0-9.:-]/gi, '_'));
    if (!existsSync(file)) return;
    try {
      unlinkSync(file);
    } catch {
      return; // another process took it
    }
    process.kill(process.pid, 'SIGKILL');
  }
}
