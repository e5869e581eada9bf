import { readFileSync } from 'node:fs';
import { ConfigError } from '@orama/core';
import type { TurnConfig } from '@orama/protocol';

/** What a process has open beside sockets of clients: its program, logs, metrics, control socket and event loop. */
const OF_PROCESS = 64;
const OF_WORKER = 16;
/** The UDP, TCP and TLS socket of a worker on each address. */
const OF_LISTENER = 3;

/** How many files and sockets this process may have open (RLIMIT_NOFILE); infinite where the system does not say. */
export function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** What a node may have open beside its own. */
export interface DescriptorShares {
  /** TCP and TLS connections of clients. */
  readonly connections: number;
  /** Sockets of relay ports, on all workers together. */
  readonly relaySockets: number;
}

/**
 * How a limit of descriptors is shared out. The server itself comes first, with control socket and metrics; connections get
 * what is configured, but never more than half of what that leaves, and relay sockets the rest: so neither strangers who
 * connect nor clients who allocate take what the others need.
 * @throws ConfigError when hardly anything is left
 */
export function descriptorShares(
  limit: number,
  { maxTcpConnections, listen, tls }: Pick<TurnConfig, 'maxTcpConnections' | 'listen' | 'tls'>,
  workers: number,
): DescriptorShares {
  const shared = tls !== false && tls.shared !== undefined ? 1 : 0;
  const own = OF_PROCESS + workers * (OF_WORKER + (OF_LISTENER + shared) * listen.length);
  // One that is passed on has another to the HTTPS server.
  const ofConnection = 1 + shared;
  const connections = Math.min(maxTcpConnections, Math.floor((limit - own) / 2 / ofConnection));
  if (connections >= 1) return { connections, relaySockets: limit - own - connections * ofConnection };
  throw new ConfigError(`workers: ${workers} need ${own + 2} open files, but the limit is ${limit}`, {
    hint: 'raise LimitNOFILE of the unit (ulimit -n), or have fewer workers',
  });
}
