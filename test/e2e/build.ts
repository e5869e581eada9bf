import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { REPOSITORY } from '@orama/testkit';

/** Every project of the tests sets up by itself; those that run together share this. */
const shared = globalThis as { programsAreBuilt?: true };

/** The tests here run the built programs and the built call page: builds what is older than its sources. */
export function setup(): void {
  if (shared.programsAreBuilt) return;
  execFileSync(join(REPOSITORY, 'node_modules/.bin/tsc'), ['-b'], { cwd: REPOSITORY, stdio: 'inherit' });
  execFileSync(process.execPath, ['deploy/dev/bundle.ts'], { cwd: REPOSITORY, stdio: 'inherit' });
  const page = join(REPOSITORY, 'packages/call-page');
  execFileSync(join(page, 'node_modules/.bin/vite'), ['build', '--logLevel', 'warn'], { cwd: page, stdio: 'inherit' });
  shared.programsAreBuilt = true;
}
