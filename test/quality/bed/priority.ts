import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';

/** As `nice` counts: such a service weighs about ten times as much as a browser. */
const NICE = '-10';

/**
 * Gives a service, with its workers, the processor before the browsers, which share this machine's cores with it and
 * would have a machine of their own: what is measured is the network and the service, not the wait behind an encoder.
 * @param pid of the service, which leads a process group and a session
 */
export function putFirst(pid: number): void {
  execFileSync('renice', ['-n', NICE, '-g', `${pid}`], { stdio: ['ignore', 'ignore', 'inherit'] });
  // Where the kernel shares the cores among sessions first, the number above counts only within one.
  const session = `/proc/${pid}/autogroup`;
  if (existsSync(session)) writeFileSync(session, NICE);
}
