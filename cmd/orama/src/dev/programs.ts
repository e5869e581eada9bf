import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DAEMONS, type Daemon, daemonCommand, INSTALL_DIR, UserError } from '@orama/core';

/** Command lines of our daemons, without `--config`. Throws when they are not built. */
export function findPrograms(): Record<Daemon, [string, ...string[]]> {
  const main = (name: Daemon) => join(INSTALL_DIR, 'cmd', name, 'dist/main.js');
  const missing = DAEMONS.filter((name) => !existsSync(main(name)));
  if (missing.length > 0) {
    throw new UserError('UNAVAILABLE', `the programs ${missing.join(', ')} are not built`, {
      hint: 'run "npx -y pnpm@12 run build"',
    });
  }
  const command = (name: Daemon) => daemonCommand(name, main(name));
  return {
    controlplane: command('controlplane'),
    gateway: command('gateway'),
    turn: command('turn'),
    sfu: command('sfu'),
  };
}

/** Command line of this program itself. */
export function ownCommand(): [string, ...string[]] {
  // The arguments of node (such as a module condition) belong to it.
  return [process.execPath, ...process.execArgv, process.argv[1] ?? join(INSTALL_DIR, 'cmd/orama/dist/main.js')];
}
