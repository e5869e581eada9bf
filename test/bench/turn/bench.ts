import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCommandLine, refuse } from '../../support/command-line.ts';
import { describeMachine } from '../machine.ts';
import { alternated, readEngines, readRounds } from '../rounds.ts';
import { readSamples, type Sample, spreadOf } from '../samples.ts';
import { coturn } from './coturn.ts';
import { type Engine, requireShortSlices } from './engine.ts';
import { compileLoadGenerator } from './load-generator.ts';
import { FULL, measureOnBothCores, measureOnOneCore, PARTS, type Part, QUICK, type Round } from './measure.ts';
import { nodeTurn, orama } from './orama.ts';
import { renderReport, roundsIn } from './report.ts';

const REPORT = join(import.meta.dirname, 'report.md');
const RESULTS = '.orama/bench';
const SAMPLES = `${RESULTS}/turn.json`;

/** coturn first: half of what it carries is the load that delays are measured at. */
const ENGINES: Record<string, () => Engine> = {
  coturn,
  orama: () => orama(1),
  'orama-2': () => orama(2),
  'node-turn': nodeTurn,
};

/** Who is measured on two cores as well: coturn’s one thread, and two of our workers. */
const ON_BOTH_CORES = ['coturn', orama(2).name];

/** Measures TURN servers against each other and writes the report; see `--help`. */
export async function benchTurn(args: string[]): Promise<void> {
  const { values, positionals } = readCommandLine(
    HELP,
    {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      engines: { type: 'string', default: Object.keys(ENGINES).join(',') },
      priority: { type: 'boolean', default: false },
      only: { type: 'string', default: PARTS.join(',') },
      'delay-rate': { type: 'string' },
      append: { type: 'boolean', default: false },
    },
    args,
  );
  if (positionals.length > 0) refuse(HELP, `"${positionals[0]}" is no option`);
  const rounds = readRounds(HELP, values.rounds, values.quick);
  if (values.priority) requireShortSlices();
  const engines = readEngines(HELP, values.engines, ENGINES);
  const parts = readParts(values.only);
  const delayRate = readDelayRate(values['delay-rate']);
  const whole = parts.size === PARTS.length;

  mkdirSync(RESULTS, { recursive: true });
  const samples: Sample[] = values.append ? readSamples(SAMPLES) : [];
  const directory = mkdtempSync(join(tmpdir(), 'turn-bench-'));
  try {
    const program = compileLoadGenerator(directory);
    for (const engine of alternated(engines, rounds, roundsIn(samples))) {
      await measure({
        engine,
        program,
        directory,
        priority: values.priority,
        durations: values.quick ? QUICK : FULL,
        parts,
        record: (sample) => samples.push(sample),
      });
      if (whole) writeFileSync(SAMPLES, JSON.stringify(samples));
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }

  const report = renderReport({
    samples,
    engines: new Map(engines.map(({ name, description }) => [name, description])),
    machine: describeMachine(),
    priority: values.priority,
    date: new Date().toISOString().slice(0, 10),
  });
  console.log(report);
  if (whole && !values.quick) writeFileSync(REPORT, `${report}\n`);

  async function measure(round: Round): Promise<void> {
    if (parts.size > 1 || !parts.has('both-cores')) {
      await measureOnOneCore(round, () => delayRate ?? halfOfCoturn(samples));
    }
    if (parts.has('both-cores') && ON_BOTH_CORES.includes(round.engine.name)) await measureOnBothCores(round);
  }
}

/** The parts of a list of names with commas between. */
function readParts(names: string): ReadonlySet<Part> {
  return new Set(
    names.split(',').map((name) => {
      const part = PARTS.find((known) => known === name);
      return part ?? refuse(HELP, `--only knows ${PARTS.join(', ')}, not "${name}"`);
    }),
  );
}

function readDelayRate(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const rate = Number(given);
  if (!Number.isInteger(rate) || rate < 1) refuse(HELP, '--delay-rate must be a whole number above 0');
  return rate;
}

/** Half of the packets a second that coturn carries, so far; 0 while nobody knows. */
function halfOfCoturn(samples: readonly Sample[]): number {
  return Math.round((spreadOf(samples, 'coturn', 'most packets/s channel-up')?.median ?? 0) / 2);
}

const HELP = `pnpm bench turn [--quick] [--rounds 5] [--engines ${Object.keys(ENGINES).join(',')}] [--append] [--priority]
                [--only ${PARTS.join(',')}] [--delay-rate N]

Runs each server on core 0 and the same clients against it from core 1, by turns, prints tables and writes
test/bench/turn/report.md. --quick takes short looks in one round and writes no report. --append adds rounds to
those of the last run. --only measures some parts and writes no report; delays are taken at half of what coturn was
seen to carry (part "most"), or at --delay-rate packets/s.
Nothing else should use the machine meanwhile; the last table shows whether something did.
--priority (as root) runs server and load under SCHED_RR, before everything else; for a machine that is not quiet.`;
