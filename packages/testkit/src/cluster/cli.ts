import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** The repository's root. */
export const REPOSITORY = join(import.meta.dirname, '../../../..');
/** The built program, as a user runs it. */
export const ORAMA = join(REPOSITORY, 'cmd/orama/dist/main.js');

/** No command may take longer: the check of the demo, the longest, takes half a minute on an idle machine. */
const DEADLINE_MS = 170_000;

export interface CliResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** stdout and stderr in order of arrival, for messages. */
  output: string;
}

/** A running `orama` process. */
export class CliProcess {
  readonly child: ChildProcess;
  readonly finished: Promise<CliResult>;
  #stdout = '';
  #stderr = '';
  #output = '';
  #lookers = new Set<() => void>();

  /** @param env its variables, in place of those of this process */
  constructor(args: readonly string[], env?: NodeJS.ProcessEnv) {
    this.child = spawn(process.execPath, [ORAMA, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(env && { env }),
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#grow(text);
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#grow(text);
    });
    const deadline = setTimeout(() => {
      this.#grow(`\n(killed by the test: not done after ${DEADLINE_MS} ms)\n`);
      this.child.kill('SIGKILL');
    }, DEADLINE_MS);
    this.finished = once(this.child, 'close').then(([code, signal]) => {
      clearTimeout(deadline);
      for (const look of this.#lookers) look();
      return { code, signal, stdout: this.#stdout, stderr: this.#stderr, output: this.#output };
    });
  }

  /** What it printed so far. */
  get output(): string {
    return this.#output;
  }

  /** Resolves with true once the output matches, and with false when the process ended without it. */
  async printed(pattern: RegExp): Promise<boolean> {
    await this.#outputIs((output) => pattern.test(output));
    return pattern.test(this.#output);
  }

  /** Resolves when the command has printed so many lines that are not empty, or has ended. */
  printedLines(count: number): Promise<void> {
    const isFull = (line: string) => line.trim() !== '';
    return this.#outputIs((output) => output.split('\n').slice(0, -1).filter(isFull).length >= count);
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals): Promise<CliResult> {
    this.child.kill(signal);
    return await this.finished;
  }

  #outputIs(accept: (output: string) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        const ended = this.child.exitCode !== null || this.child.signalCode !== null;
        if (!ended && !accept(this.#output)) return;
        this.#lookers.delete(look);
        resolve();
      };
      this.#lookers.add(look);
      look();
    });
  }

  #grow(text: string): void {
    this.#output += text;
    for (const look of [...this.#lookers]) look();
  }
}
