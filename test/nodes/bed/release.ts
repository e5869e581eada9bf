import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '@orama/testkit';
import type { TestProject } from 'vitest/node';

export const BUILD_TIMEOUT_MS = 150_000;

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the release that the tests install, which they must not change. */
    release: string;
  }
}

/** Builds one release of this checkout for all files on real nodes. */
export async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'orama-release-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    await buildRelease(folder);
  } catch (thrown) {
    remove();
    throw thrown;
  }
  project.provide('release', folder);
  return remove;
}

/** Builds a release of this checkout, as `pnpm release` does, only packed less tightly. */
export async function buildRelease(folder: string): Promise<void> {
  const main = join(REPOSITORY, 'deploy/release/main.ts');
  await promisify(execFile)(process.execPath, [main, '--fast', '--out', folder], { timeout: BUILD_TIMEOUT_MS });
}
