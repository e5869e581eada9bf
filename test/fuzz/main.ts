// `pnpm fuzz <turn|sfu> [--inputs N] [--seed S] [--mode M]`
import { readCommandLine, refuse } from '../support/command-line.ts';
import type { Target } from './rounds.ts';
import { sfuTarget } from './sfu/target.ts';
import { turnTarget } from './turn/target.ts';

const TARGETS: Readonly<Record<string, Target>> = { turn: turnTarget, sfu: sfuTarget };
const USAGE = [
  'usage: pnpm fuzz <turn|sfu> [--inputs 1000000] [--seed <number>] [--mode <mode>]',
  'modes, each with its share unless one is named:',
  ...Object.entries(TARGETS).map(([name, { shares }]) => `  ${name}: ${Object.keys(shares).join(', ')}`),
].join('\n');
const PROGRESS_INPUTS = 50_000;

const { values, positionals } = readCommandLine(USAGE, {
  inputs: { type: 'string', default: '1000000' },
  seed: { type: 'string' },
  mode: { type: 'string' },
});
const inputs = Number(values.inputs);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const target = TARGETS[positionals.join()] ?? refuse(USAGE, 'say what to fuzz: turn or sfu');
const modes = Object.keys(target.shares).filter((mode) => values.mode === undefined || values.mode === mode);
if (!(inputs >= 1) || ![inputs, seed].every(Number.isSafeInteger)) refuse(USAGE, 'an option is no usable number');
if (modes.length === 0) refuse(USAGE, `there is no mode "${values.mode}"`);

console.log(`seed ${seed}, ${inputs} inputs`);
// The machine's time, whatever a run makes of its own.
const startedAt = Date.now();
try {
  for (const mode of modes) {
    const share = values.mode === undefined ? (target.shares[mode] as number) : 100;
    const { lines, memory } = await target.fuzz(mode, {
      seed,
      inputs: Math.ceil((inputs * share) / 100),
      onProgress: (done) => {
        if (done % PROGRESS_INPUTS === 0) console.log(`${mode}: ${done} inputs, ${elapsedSec()} s`);
      },
    });
    console.log(`${mode}, after ${elapsedSec()} s:`);
    const sizes = `${mebibytes(memory.before)} after the first rounds, ${mebibytes(memory.after)} at the end`;
    for (const line of [...lines, `memory: ${sizes}`]) console.log(`  ${line}`);
  }
  console.log(`no rule broken in ${elapsedSec()} s`);
} catch (thrown) {
  console.error(`FAILED after ${elapsedSec()} s: ${(thrown as Error).message}`);
  // Clients of a round that broke off would keep the process.
  process.exit(1);
}

function elapsedSec(): string {
  return ((Date.now() - startedAt) / 1000).toFixed(1);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
