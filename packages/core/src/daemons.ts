/** Our programs that run for long: `cmd/<name>`. */
export const DAEMONS = ['controlplane', 'gateway', 'turn', 'sfu'] as const;

export type Daemon = (typeof DAEMONS)[number];

/** What whoever starts a daemon gives it beside its own arguments, because the program is too late to set it itself. */
export interface DaemonRuntime {
  /** Options of Node, before the program: in a unit, of its `ExecStart=`. */
  readonly nodeOptions: readonly string[];
  /** Variables for the C library and Node: in a unit, its `Environment=`. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A young generation of 12 MB: what a TURN server allocates lives long or not at all, so that one of 48 serves no better. */
const SMALL_YOUNG_GENERATION = '--max-semi-space-size=4';

/**
 * Of 3 MB for the SFU: each packet it receives is a buffer outside the heap that lives until the next young collection, and
 * counts towards the limit that starts a full one. That limit is not below 64 MB: the heap itself is less than half.
 */
const FEW_PACKETS_BETWEEN_COLLECTIONS = ['--max-semi-space-size=1', '--initial-old-space-size=64'];

/** Helper threads that mark the heap would take the core from the thread that sends, for tens of milliseconds. */
const COLLECTOR_ON_ONE_THREAD = '--single-threaded-gc';

/**
 * Has glibc map blocks from this size on one by one. Of libjuice's 68 kB for a peer only some are ever touched; among other
 * blocks all of it would be resident. Below 64 KB it would hit Node's buffers for whatever is received.
 */
const SPARSE_BLOCKS = { GLIBC_TUNABLES: 'glibc.malloc.mmap_threshold=66000' };

/** How each daemon is started, wherever it is: docs/performance.md has what each of it gives. */
export const DAEMON_RUNTIMES: Readonly<Record<Daemon, DaemonRuntime>> = {
  controlplane: { nodeOptions: [], environment: {} },
  gateway: { nodeOptions: [], environment: {} },
  turn: { nodeOptions: [SMALL_YOUNG_GENERATION], environment: {} },
  sfu: { nodeOptions: [...FEW_PACKETS_BETWEEN_COLLECTIONS, COLLECTOR_ON_ONE_THREAD], environment: SPARSE_BLOCKS },
};

/**
 * Command line that starts a daemon with this process's Node. The process that it starts is the daemon itself.
 * @param program its main file
 * @param nodeOptions more options of Node
 */
export function daemonCommand(daemon: Daemon, program: string, ...nodeOptions: string[]): [string, ...string[]] {
  const runtime = DAEMON_RUNTIMES[daemon];
  const node = [process.execPath, ...runtime.nodeOptions, ...nodeOptions, program] as const;
  const variables = environmentLines(daemon);
  return variables.length > 0 ? ['/usr/bin/env', ...variables, ...node] : [...node];
}

/** A daemon's variables as `NAME=value`, the form of `env` and of a unit's `Environment=`. */
export function environmentLines(daemon: Daemon): string[] {
  return Object.entries(DAEMON_RUNTIMES[daemon].environment).map(([name, value]) => `${name}=${value}`);
}
