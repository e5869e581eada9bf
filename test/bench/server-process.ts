import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const START_TIMEOUT_MS = 15_000;

/** A server's process, kept to its processors, its output in a file. */
export class ServerProcess {
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
