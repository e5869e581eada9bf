import { styleText } from 'node:util';
import type { Failure } from '../exit-code.ts';
import { createProgress, type Progress } from './progress.ts';

type Style = Parameters<typeof styleText>[0];

/** Everything a command says: results on stdout, everything else on stderr. */
export class Output {
  readonly json: boolean;
  readonly #stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;

  constructor(options: { json: boolean; stdout: NodeJS.WriteStream; stderr: NodeJS.WriteStream }) {
    this.json = options.json;
    this.#stdout = options.stdout;
    this.#stderr = options.stderr;
  }

  /** The result of the command: `value` with `--json`, else the text that `human` makes. */
  result(value: unknown, human: () => string): void {
    this.#stdout.write(this.json ? `${JSON.stringify(value, null, 2)}\n` : `${human()}\n`);
  }

  /** One of several results: `value` in one line with `--json`, so that programs read line by line. */
  line(value: unknown, human: () => string): void {
    this.#stdout.write(this.json ? `${JSON.stringify(value)}\n` : `${human()}\n`);
  }

  /** A line for people only; not part of the result. */
  note(text: string): void {
    if (!this.json) this.#stderr.write(`${text}\n`);
  }

  /** Progress of something that takes longer than a second. */
  progress(text: string): Promise<Progress> {
    return createProgress(this.#stderr, text, this.json);
  }

  /** Whether people look at stdout right now, and not a file or another program. */
  get isTerminal(): boolean {
    return this.#stdout.isTTY === true;
  }

  /** Colours `text` when stdout is a terminal and colour is wanted there. */
  style(format: Style, text: string): string {
    return styleText(format, text, { stream: this.#stdout, validateStream: true });
  }

  failure(failure: Failure): void {
    if (this.json) {
      const { exitCode: _, ...error } = failure;
      this.#stdout.write(`${JSON.stringify({ error }, null, 2)}\n`);
      return;
    }
    const red = styleText('red', `error ${failure.code}`, { stream: this.#stderr, validateStream: true });
    this.#stderr.write(`${red}: ${failure.message}\n`);
    if (failure.hint) this.#stderr.write(`next: ${failure.hint}\n`);
  }
}
