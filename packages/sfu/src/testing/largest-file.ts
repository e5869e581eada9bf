import { execFileSync } from 'node:child_process';

/** Runs with a limit on the size of the files that this process writes, as on a disk that is nearly full. */
export async function withLargestFile(bytes: number, run: () => Promise<void>): Promise<void> {
  const limit = (soft: number | string) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:`]);
  limit(bytes);
  try {
    await run();
  } finally {
    limit('unlimited');
  }
}
