import { availableParallelism } from 'node:os';
import { ConfigError } from '@orama/core';
import { DEFAULT_MAX_PARTICIPANTS, type SfuConfig } from '@orama/protocol';

/** Fewer media ports than this are not worth a process of their own. */
const PORTS_PER_WORKER = 100;
/** Where nobody said how many processes: a room is on one of them, and one of the usual size has to find a port for each peer. */
const PORTS_PER_ROOM = DEFAULT_MAX_PARTICIPANTS * 1.25;

type PortConfig = Pick<SfuConfig, 'workers' | 'mediaPortStart' | 'mediaPortEnd'>;

/** The media ports of one worker. */
export interface PortShare {
  readonly start: number;
  readonly end: number;
}

/**
 * The media ports of every worker that may run.
 * @param cores cores of the machine, for `workers: auto`
 * @throws ConfigError when the range is upside down, or too small for the workers that were asked for
 */
export function portShares(config: PortConfig, cores = availableParallelism()): PortShare[] {
  const { workers, mediaPortStart, mediaPortEnd } = config;
  const ports = mediaPortEnd - mediaPortStart + 1;
  if (ports < 1) throw new ConfigError(`mediaPortEnd ${mediaPortEnd} is below mediaPortStart ${mediaPortStart}`);
  const most = Math.max(1, Math.floor(ports / PORTS_PER_WORKER));
  if (workers !== 'auto' && workers > most)
    throw new ConfigError(`workers: ${workers} need ${PORTS_PER_WORKER} media ports each, and there are ${ports}`, {
      hint: 'ask for fewer workers, or configure a larger range of media ports',
    });
  const count = workers === 'auto' ? Math.max(1, Math.min(cores, Math.floor(ports / PORTS_PER_ROOM))) : workers;
  const size = Math.floor(ports / count);
  return Array.from({ length: count }, (_, i) => ({
    start: mediaPortStart + i * size,
    end: i === count - 1 ? mediaPortEnd : mediaPortStart + (i + 1) * size - 1,
  }));
}
