import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '@orama/testkit';

export const BUILD_TIMEOUT_MS = 150_000;

/** Builds a release of this checkout, as `pnpm release` does, only packed less tightly. */
export async function buildRelease(folder: string): Promise<void> {
  const main = join(REPOSITORY, 'deploy/release/main.ts');
  await promisify(execFile)(process.execPath, [main, '--fast', '--out', folder], { timeout: BUILD_TIMEOUT_MS });
}
