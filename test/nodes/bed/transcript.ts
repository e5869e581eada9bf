import { readFileSync, writeFileSync } from 'node:fs';
import type { CommandResult } from './node.ts';

/** What has to stand where the output of a command would differ each time or hold a secret. */
const MASKS: readonly [pattern: RegExp, name: string][] = [
  [/\borama_[\w-]{20,}/g, '<key>'],
  [/(?<="password":")[^"]+/g, '<password>'],
];

export type Step =
  | { kind: 'command'; at: string; command: string; line: number }
  /** `<!-- seen: name -->`: the test does or looks at something that no command shows. */
  | { kind: 'seen'; name: string };

export interface Section {
  title: string;
  steps: Step[];
}

/**
 * A document of commands and what they print: blocks of `console` in which `n1# command` is typed at the prompt `n1#`.
 * Playing it runs them; what stands below a command is what it printed when the document was last written.
 */
export class Transcript {
  readonly sections: readonly Section[];
  readonly #file: string;
  readonly #lines: readonly string[];
  /** Output by the line of its command. */
  readonly #printed = new Map<number, string>();
  /** The latest text that each mask stands for. */
  readonly #values = new Map<string, string>();

  constructor(file: string) {
    this.#file = file;
    this.#lines = readFileSync(file, 'utf8').split('\n');
    this.sections = readSections(this.#lines);
  }

  /** Runs the command of a step, which must succeed. `run` gets it with what the masks in it stand for. */
  async play(
    { at, command, line }: Step & { kind: 'command' },
    run: (at: string, command: string) => Promise<CommandResult>,
  ): Promise<string> {
    const typed = [...this.#values].reduce((text, [mask, value]) => text.replaceAll(mask, value), command);
    const { code, stdout, stderr } = await run(at, typed);
    const output = stdout + stderr;
    if (code !== 0) throw new Error(`${at} ${command} ended with ${code}:\n${output}`);
    for (const [pattern, name] of MASKS) {
      const [value] = output.match(pattern) ?? [];
      if (value !== undefined) this.#values.set(name, value);
    }
    this.#printed.set(
      line,
      MASKS.reduce((text, [pattern, name]) => text.replace(pattern, name), output),
    );
    return output;
  }

  /** What a mask stands for now. */
  value(mask: string): string {
    const value = this.#values.get(mask);
    if (value === undefined) throw new Error(`nothing was printed that ${mask} stands for`);
    return value;
  }

  /** Writes what was printed below the commands that were played. */
  write(): void {
    const out: string[] = [];
    let skipping = false;
    for (const [index, line] of this.#lines.entries()) {
      if (skipping && (line.startsWith('```') || PROMPT.test(line))) skipping = false;
      if (!skipping) out.push(line);
      const printed = this.#printed.get(index);
      if (printed === undefined) continue;
      skipping = true;
      const text = printed.trimEnd();
      if (text !== '') out.push(...text.split('\n').map((each) => each.trimEnd()));
    }
    writeFileSync(this.#file, out.join('\n'));
  }
}

const PROMPT = /^([a-z]+[0-9]*[#$]) (.+)$/;

function readSections(lines: readonly string[]): Section[] {
  const sections: Section[] = [];
  let inBlock = false;
  for (const [index, line] of lines.entries()) {
    const steps = sections.at(-1)?.steps ?? [];
    const seen = /^<!-- seen: (.+) -->$/.exec(line)?.[1];
    const [, at, command] = PROMPT.exec(line) ?? [];
    if (line.startsWith('```')) inBlock = line === '```console';
    else if (line.startsWith('## ')) sections.push({ title: line.slice(3), steps: [] });
    else if (seen !== undefined) steps.push({ kind: 'seen', name: seen });
    else if (inBlock && at !== undefined && command !== undefined)
      steps.push({ kind: 'command', at, command, line: index });
  }
  return sections.filter(({ steps }) => steps.length > 0);
}
