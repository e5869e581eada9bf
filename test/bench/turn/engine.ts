import { readFileSync } from 'node:fs';

/** Loopback addresses of the benchmark. */
export const ADDRESSES = {
  server: '127.95.1.1',
  relay: '127.95.0.1',
  peer: '127.95.2.1',
  client: '127.95.3.1',
};
export const SERVER_PORT = 3478;
export const REALM = 'bench.test';
export const NAMESPACE = 'bench';
/** Every engine computes passwords from it, the way TURN's REST credentials do. */
export const SECRET = 'a-secret-of-the-benchmark';
/** Relay ports that an engine may use. */
export const RELAY_PORTS = { start: 20_000, end: 60_000 };
export const MAX_ALLOCATIONS = 12_000;

/** A TURN server to be measured. */
export interface Engine {
  readonly name: string;
  /** What is started and with which settings, for the report. */
  readonly description: string;
  /** Starts it with a `placement` and files of its own in `directory`; resolves when it answers. */
  start(placed: readonly string[], directory: string): Promise<RunningEngine>;
}

const ROUND_ROBIN_SLICE = '/proc/sys/kernel/sched_rr_timeslice_ms';

/**
 * Throws where a thread of real-time priority may wait a tenth of a second for another of the same process, as the
 * system has it by default: servers with several threads would be measured wrong.
 */
export function requireShortSlices(): void {
  if (Number(readFileSync(ROUND_ROBIN_SLICE, 'utf8')) <= 1) return;
  throw new Error(
    '--priority needs short turns of real-time threads: sysctl -w kernel.sched_rr_timeslice_ms=1 (and 100 afterwards)',
  );
}

/** The words before a command that keep it to its processors, and with `priority` others away from them. */
export function placement(cores: string, priority: boolean): readonly string[] {
  return [...(priority ? ['chrt', '--rr', '10'] : []), 'taskset', '-c', cores];
}

export interface RunningEngine {
  readonly pid: number;
  stop(): Promise<void>;
}
