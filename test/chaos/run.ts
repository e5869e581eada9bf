import { setTimeout as delay } from 'node:timers/promises';
import { waitUntil } from '@orama/testkit';
import { Random } from '../support/random.ts';
import { type Access, Bed } from './bed/bed.ts';
import type { Network } from './bed/network.ts';
import { Call } from './call.ts';
import { nextFault } from './faults.ts';
import { holdsAtRest } from './invariants.ts';
import { Broken, endure, type Outcome } from './round.ts';
import { Shell } from './shell.ts';

const CALLS = 2;
const CALLED = 'calls';
const SHELLS = ['ops-one', 'ops-two'] as const;
const FLOW_TIMEOUT_MS = 20_000;
const END_TIMEOUT_MS = 30_000;
/** A call that took longer to come back is told with what it went through. */
const SLOW_MS = 5_000;
/** Between two faults there is less than that. */
const PAUSE_MS = 3_001;

export interface RunOptions {
  network: Network;
  seed: number;
  /** No fault begins after so long. */
  lastsMs: number;
}

/** What one seed does to a cluster. Rejects with Broken when it did not keep a promise; the bed is left for a look then. */
export async function run({ network, seed, lastsMs }: RunOptions): Promise<Outcome[]> {
  const random = new Random(seed);
  const bed = await Bed.start(network);
  const startedAt = performance.now();
  const log = (text: string) =>
    console.log(`  ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  const calls: Call[] = [];
  const shells: Shell[] = [];
  const outcomes: Outcome[] = [];
  try {
    const access = await enabled(bed, CALLED);
    calls.push(...Array.from({ length: CALLS }, (_, i) => new Call(bed, access, i)));
    await waitUntil(
      'the calls to begin',
      () => calls.filter(({ flows }) => !flows).map(({ trouble }) => trouble),
      (silent) => silent.length === 0,
      { timeoutMs: FLOW_TIMEOUT_MS },
    );
    for (const name of SHELLS) {
      await bed.json('namespace', 'create', name);
      shells.push(new Shell(bed, name, new Random(random.below(2 ** 32))));
    }
    log('two calls go on, and two operators are at work');
    while (performance.now() - startedAt < lastsMs) {
      await delay(random.below(PAUSE_MS));
      const fault = nextFault(bed, random);
      log(fault.what);
      const outcome = await endure({ bed, calls, shells }, fault);
      outcomes.push(outcome);
      log(`    without media for ${outcome.silentMs} ms, at rest ${outcome.restMs} ms after its end`);
      if (outcome.silentMs > SLOW_MS) for (const trouble of outcome.troubles) log(`      ${trouble}`);
    }
    await Promise.all(shells.map((shell) => shell.end()));
    await waitUntil(
      'everything to be as it should be at the end',
      () => holdsAtRest(bed, shells),
      (broken) => broken.length === 0,
      { timeoutMs: END_TIMEOUT_MS, intervalMs: 500 },
    );
    for (const { namespace, done, failed } of shells) {
      log(`${namespace}: ${done.length} commands done, ${failed.length} not`);
      for (const each of new Set(failed)) log(`    ${each}`);
    }
  } catch (thrown) {
    for (const { namespace, failed } of shells) for (const each of failed) log(`${namespace}: ${each}`);
    const folder = bed.keep();
    throw new Broken(`seed ${seed}: ${thrown instanceof Error ? thrown.message : thrown}\nlogs and data: ${folder}`, {
      cause: thrown,
    });
  } finally {
    await Promise.all([...calls.map((call) => call.end()), ...shells.map((shell) => shell.end())]);
    await bed.stop();
  }
  return outcomes;
}

async function enabled(bed: Bed, name: string): Promise<Access> {
  const { apiKey } = await bed.json<{ apiKey: string }>('namespace', 'create', name);
  await bed.json('namespace', 'enable', 'webrtc', '--namespace', name);
  return { name, apiKey };
}
