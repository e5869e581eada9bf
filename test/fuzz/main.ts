// `pnpm fuzz turn [--packets N] [--seed S]`
import { readCommandLine, refuse } from '../support/command-line.ts';
import { readCorpus } from './corpus.ts';
import { fuzz } from './fuzzer.ts';

const USAGE = 'usage: pnpm fuzz turn [--packets 1000000] [--seed <number>]';

const { values, positionals } = readCommandLine(USAGE, {
  packets: { type: 'string', default: '1000000' },
  seed: { type: 'string' },
});
const packets = Number(values.packets);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (positionals.join() !== 'turn') refuse(USAGE, 'say what to fuzz: turn');
if (!(packets >= 1) || ![packets, seed].every(Number.isSafeInteger)) refuse(USAGE, 'an option is no usable number');

console.log(`seed ${seed}, ${packets} packets`);
const startedAt = performance.now();
try {
  const report = await fuzz({
    seed,
    packets,
    corpus: readCorpus(),
    onProgress: (done) => {
      if (done % 100_000 === 0) console.log(`${done} packets after ${elapsedSec()} s`);
    },
  });
  const answers = [...report.answers].sort(([a], [b]) => a - b).map(([code, count]) => `${code || 200}: ${count}`);
  console.log(`${report.packets} packets in ${elapsedSec()} s, no rule broken`);
  console.log(`answers: ${answers.join(', ')}`);
  console.log(`relayed: ${report.relayedToPeer} to peers, ${report.relayedToClient} to clients`);
  console.log(
    `memory after garbage collection: ${mebibytes(report.heap.before)} at first, ${mebibytes(report.heap.after)} at the end`,
  );
} catch (thrown) {
  console.error(`FAILED after ${elapsedSec()} s: ${(thrown as Error).message}`);
  process.exitCode = 1;
}

function elapsedSec(): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
