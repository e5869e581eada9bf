// `pnpm fuzz turn [--packets N] [--seed S] [--mode M]`
import { readCommandLine, refuse } from '../support/command-line.ts';
import { readCorpus } from './corpus.ts';
import { type FuzzReport, fuzz } from './fuzzer.ts';
import { MODES } from './server-under-test.ts';

const USAGE = `usage: pnpm fuzz turn [--packets 1000000] [--seed <number>] [--mode <${MODES.join('|')}>, without it each has its share]`;
const PROGRESS_PACKETS = 50_000;
/** What each mode gets of a hundred packets: those over the wire take longer. */
const SHARES = { handed: 50, batched: 25, threads: 25 };

const { values, positionals } = readCommandLine(USAGE, {
  packets: { type: 'string', default: '1000000' },
  seed: { type: 'string' },
  mode: { type: 'string' },
});
const packets = Number(values.packets);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const modes = MODES.filter((mode) => values.mode === undefined || values.mode === mode);
if (positionals.join() !== 'turn') refuse(USAGE, 'say what to fuzz: turn');
if (!(packets >= 1) || ![packets, seed].every(Number.isSafeInteger)) refuse(USAGE, 'an option is no usable number');
if (modes.length === 0) refuse(USAGE, `there is no mode "${values.mode}"`);

console.log(`seed ${seed}, ${packets} packets`);
const startedAt = performance.now();
try {
  for (const mode of modes) {
    const report = await fuzz({
      mode,
      seed,
      packets: values.mode === undefined ? Math.ceil((packets * SHARES[mode]) / 100) : packets,
      corpus: readCorpus(),
      onProgress: (done) => {
        if (done % PROGRESS_PACKETS === 0) console.log(`${mode}: ${done} packets, ${elapsedSec()} s`);
      },
    });
    tell(mode, report);
  }
  console.log(`no rule broken in ${elapsedSec()} s`);
} catch (thrown) {
  console.error(`FAILED after ${elapsedSec()} s: ${(thrown as Error).message}`);
  process.exitCode = 1;
}

function tell(mode: string, { inputs, answers, relayedToPeer, relayedToClient, memory }: FuzzReport): void {
  const counts = (entries: Iterable<readonly [unknown, number]>) =>
    Array.from(entries, ([name, count]) => `${name}: ${count}`).join(', ');
  const sorted = [...answers].sort(([a], [b]) => a - b).map(([code, count]) => [code || 200, count] as const);
  console.log(`${mode}: ${counts(Object.entries(inputs))} after ${elapsedSec()} s`);
  console.log(`  answers: ${counts(sorted)}`);
  console.log(`  relayed: ${relayedToPeer} to peers, ${relayedToClient} to clients`);
  console.log(`  memory: ${mebibytes(memory.before)} after the first rounds, ${mebibytes(memory.after)} at the end`);
}

function elapsedSec(): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
