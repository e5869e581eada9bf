import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UserError } from '@orama/core';

/**
 * Has glibc map blocks from this size on one by one. Of libjuice's 68 kB for a peer only some are ever touched; among other
 * blocks all of it would be resident. Below 64 KB it would hit Node's buffers for whatever is received.
 */
const SPARSE_BLOCKS = 'GLIBC_TUNABLES=glibc.malloc.mmap_threshold=66000';

const DAEMONS = ['controlplane', 'gateway', 'turn', 'sfu'] as const;
type Daemon = (typeof DAEMONS)[number];

/** Command lines of our daemons, without `--config`. Throws when they are not built. */
export function findPrograms(): Record<Daemon, [string, ...string[]]> {
  const main = (name: Daemon) => fileURLToPath(new URL(`../../../${name}/dist/main.js`, import.meta.url));
  const missing = DAEMONS.filter((name) => !existsSync(main(name)));
  if (missing.length > 0) {
    throw new UserError('UNAVAILABLE', `the programs ${missing.join(', ')} are not built`, {
      hint: 'run "npx -y pnpm@12 run build"',
    });
  }
  const command = (name: Daemon, ...options: string[]): [string, ...string[]] => [
    process.execPath,
    ...options,
    main(name),
  ];
  return {
    controlplane: command('controlplane'),
    gateway: command('gateway'),
    // What these two allocate lives long or not at all: a young generation of 12 MB serves as well as one of 48.
    turn: command('turn', '--max-semi-space-size=4'),
    // Helper threads that mark the heap would take the core from the thread that sends, for tens of milliseconds.
    sfu: ['/usr/bin/env', SPARSE_BLOCKS, ...command('sfu', '--max-semi-space-size=4', '--single-threaded-gc')],
  };
}

/** Command line of this program itself. */
export function ownCommand(): [string, ...string[]] {
  // The arguments of node (such as a module condition) belong to it.
  return [
    process.execPath,
    ...process.execArgv,
    process.argv[1] ?? fileURLToPath(new URL('../main.js', import.meta.url)),
  ];
}
