import { execFileSync } from 'node:child_process';

const ignore = () => {};

/** Runs with a limit on the size of the files that this process writes, as on a disk that is nearly full. */
export async function withLargestFile(bytes: number, run: () => Promise<void>): Promise<void> {
  const limit = (soft: number | string) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:`]);
  // Sent with the error, and fatal by default.
  process.on('SIGXFSZ', ignore);
  limit(bytes);
  try {
    await run();
  } finally {
    limit('unlimited');
    process.off('SIGXFSZ', ignore);
  }
}
