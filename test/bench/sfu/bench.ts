import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCommandLine, refuse } from '../../support/command-line.ts';
import { describeMachine } from '../machine.ts';
import { alternated, readEngines, readRounds } from '../rounds.ts';
import { readSamples, type Sample } from '../samples.ts';
import { makeBed } from './bed.ts';
import { FULL, QUICK } from './durations.ts';
import type { Engine } from './engine.ts';
import { janus } from './janus.ts';
import { measure } from './measure.ts';
import { orama } from './orama.ts';
import { renderReport, roundsOf } from './report.ts';

const REPORT = join(import.meta.dirname, 'report.md');
const RESULTS = '.orama/bench';
const SAMPLES = `${RESULTS}/sfu.json`;

const ENGINES: Record<string, () => Engine> = { orama, janus: () => janus(0), 'janus-1': () => janus(1) };

/** Measures SFUs against each other and writes the report; see `--help`. */
export async function benchSfu(args: string[]): Promise<void> {
  const { values, positionals } = readCommandLine(
    HELP,
    {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      engines: { type: 'string', default: Object.keys(ENGINES).join(',') },
      append: { type: 'boolean', default: false },
    },
    args,
  );
  if (positionals.length > 0) refuse(HELP, `"${positionals[0]}" is no option`);
  const rounds = readRounds(HELP, values.rounds, values.quick);
  const engines = readEngines(HELP, values.engines, ENGINES);

  mkdirSync(RESULTS, { recursive: true });
  const samples: Sample[] = values.append ? readSamples(SAMPLES) : [];
  const before = Math.max(0, ...engines.map(({ name }) => roundsOf(samples, name)));
  const directory = mkdtempSync(join(tmpdir(), 'sfu-bench-'));
  const removeBed = makeBed();
  try {
    for (const engine of alternated(engines, rounds, before)) {
      const durations = values.quick ? QUICK : FULL;
      await measure({ engine, directory, durations, record: (sample) => samples.push(sample) });
      if (!values.quick) writeFileSync(SAMPLES, JSON.stringify(samples));
    }
  } finally {
    removeBed();
    rmSync(directory, { recursive: true, force: true });
  }

  const report = renderReport({
    samples,
    engines: new Map(
      Object.values(ENGINES)
        .map((make) => make())
        .filter(({ name }) => roundsOf(samples, name) > 0)
        .map(({ name, description }) => [name, description]),
    ),
    machine: describeMachine(),
    date: new Date().toISOString().slice(0, 10),
  });
  console.log(report);
  if (!values.quick) writeFileSync(REPORT, `${report}\n`);
}

const HELP = `pnpm bench sfu [--quick] [--rounds 5] [--engines ${Object.keys(ENGINES).join(',')}] [--append]

Runs each SFU on core 0 in a network namespace of its own (which needs root) and the same clients against it from
core 1, by turns, prints tables and writes test/bench/sfu/report.md. --quick takes short looks in one round and keeps
nothing. --append adds rounds to those of the last run, if there was one, also of other engines. Nothing else should use the machine meanwhile.`;
