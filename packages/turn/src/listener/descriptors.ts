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

/**
 * TCP and TLS connections that may be open under a limit of descriptors: as configured, but never more than half of what the
 * server itself leaves, so that strangers who connect leave relay ports, control socket and metrics theirs.
 * @throws ConfigError when hardly anything is left
 */
export function connectionsWithin(
  limit: number,
  { maxTcpConnections, listen }: Pick<TurnConfig, 'maxTcpConnections' | 'listen'>,
  workers: number,
): number {
  const own = OF_PROCESS + workers * (OF_WORKER + OF_LISTENER * listen.length);
  const half = Math.floor((limit - own) / 2);
  if (half >= 1) return Math.min(maxTcpConnections, half);
  throw new ConfigError(`workers: ${workers} need ${own + 2} open files, but the limit is ${limit}`, {
    hint: 'raise LimitNOFILE of the unit (ulimit -n), or have fewer workers',
  });
}
