import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { imageOf, LocalCluster, timed } from '@orama/testkit';
import { readCommandLine, refuse } from '../../support/command-line.ts';
import { describeMachine } from '../machine.ts';
import { readRounds } from '../rounds.ts';
import { type Measured, NAMESPACES_AT_ONCE, renderReport } from './report.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const REPORT = join(import.meta.dirname, 'report.md');
const STORES = ['sqlite', 'rqlite'] as const;

const USAGE = `usage: pnpm bench enable [--quick] [--rounds 5] [--stores ${STORES.join(',')}] [--prefix 120]

How long "orama namespace enable webrtc" and "disable webrtc" take on a local cluster of three nodes, each as the process that an operator
starts, until it ends: first one after the other, then for ${NAMESPACES_AT_ONCE} namespaces from as many shells at once, after which the cluster must be byte for
byte as it was. Writes test/bench/enable/report.md, with --quick nothing. Keep the machine quiet, or the numbers are those of the others.
Addresses are 127.<prefix>.x.x.`;

/** Measures enable and disable on a local cluster with each store; see `--help`. */
export async function benchEnable(args: string[]): Promise<void> {
  const { values, positionals } = readCommandLine(
    USAGE,
    {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      stores: { type: 'string', default: STORES.join(',') },
      prefix: { type: 'string', default: '120' },
    },
    args,
  );
  if (positionals.length > 0) refuse(USAGE, `"${positionals[0]}" is no option`);
  const rounds = readRounds(USAGE, values.rounds, values.quick);
  const stores = values.stores.split(',');
  const unknown = stores.find((store) => !STORES.some((known) => known === store));
  if (unknown !== undefined) refuse(USAGE, `--stores knows ${STORES.join(', ')}, not "${unknown}"`);
  const prefix = Number(values.prefix);
  if (!Number.isInteger(prefix) || prefix < 1 || prefix > 255) refuse(USAGE, '--prefix must be a whole number to 255');

  if (stores.includes('rqlite')) execFileSync('sh', ['deploy/dev/rqlited.sh'], { cwd: ROOT, stdio: 'inherit' });
  const measured: Measured[] = [];
  for (const store of stores) measured.push(await measure(store, prefix, rounds));
  const report = renderReport({
    measured,
    rounds,
    machine: describeMachine(),
    date: new Date().toISOString().slice(0, 10),
  });
  console.log(report);
  if (!values.quick) writeFileSync(REPORT, `${report}\n`);
}

async function measure(store: string, prefix: number, rounds: number): Promise<Measured> {
  const cluster = await LocalCluster.start({ prefix, startOptions: ['--store', store] });
  const run = async (verb: 'enable' | 'disable', name: string) =>
    (await timed(() => cluster.orama('namespace', verb, 'webrtc', '--namespace', name, '--timeout', '150'))).ms;
  try {
    const names = Array.from({ length: NAMESPACES_AT_ONCE }, (_, index) => `tenant-${index + 1}`);
    for (const name of names) await cluster.createNamespace(name);
    const before = await imageOf(cluster);
    const measured: Measured = { store, enableMs: [], disableMs: [], enableAllMs: 0, disableAllMs: 0, left: [] };
    for (let round = 1; round <= rounds; round++) {
      console.error(`${store}, round ${round} of ${rounds}`);
      measured.enableMs.push(await run('enable', names[0] as string));
      measured.disableMs.push(await run('disable', names[0] as string));
    }
    console.error(`${store}, ${NAMESPACES_AT_ONCE} at once`);
    measured.enableAllMs = (await timed(() => Promise.all(names.map((name) => run('enable', name))))).ms;
    measured.disableAllMs = (await timed(() => Promise.all(names.map((name) => run('disable', name))))).ms;
    const after = await imageOf(cluster);
    const lost = before.filter((line) => !after.includes(line)).map((line) => `gone: ${line}`);
    measured.left = [...after.filter((line) => !before.includes(line)), ...lost];
    return measured;
  } finally {
    await cluster.stop();
  }
}
