import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

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

const START_TIMEOUT_MS = 15_000;

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

/** A server's process, kept to its processors, its output in a file. */
export class ServerProcess implements RunningEngine {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #log: string;

  private constructor(child: ChildProcess, pid: number, log: string) {
    this.#child = child;
    this.pid = pid;
    this.#log = log;
  }

  static async start(directory: string, [program = '', ...args]: readonly string[]): Promise<ServerProcess> {
    const log = join(directory, 'server.log');
    const output = openSync(log, 'w');
    const child = spawn(program, args, { stdio: ['ignore', output, output] });
    await once(child, 'spawn');
    return new ServerProcess(child, child.pid as number, log);
  }

  /** Waits until `ready` says so; fails when the process ends first or takes too long. */
  async until(ready: (log: string) => boolean): Promise<this> {
    for (const deadline = Date.now() + START_TIMEOUT_MS; ; ) {
      const log = readFileSync(this.#log, 'utf8');
      if (ready(log)) return this;
      if (this.#child.exitCode !== null) throw new Error(`the server ended with ${this.#child.exitCode}:\n${log}`);
      if (Date.now() > deadline) throw new Error(`the server did not start in ${START_TIMEOUT_MS} ms:\n${log}`);
      await wait(50);
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }
}
