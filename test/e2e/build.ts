import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { REPOSITORY } from '@orama/testkit';

/** The tests here run the built programs and the built call page: builds what is older than its sources. */
export function setup(): void {
  execFileSync(join(REPOSITORY, 'node_modules/.bin/tsc'), ['-b'], { cwd: REPOSITORY, stdio: 'inherit' });
  execFileSync(process.execPath, ['deploy/dev/bundle.ts'], { cwd: REPOSITORY, stdio: 'inherit' });
  const page = join(REPOSITORY, 'packages/call-page');
  execFileSync(join(page, 'node_modules/.bin/vite'), ['build', '--logLevel', 'warn'], { cwd: page, stdio: 'inherit' });
}
