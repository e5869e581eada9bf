// `pnpm test:chaos`: a cluster that things are done to, and what it must keep meanwhile.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readCommandLine, refuse } from '../support/command-line.ts';
import { NODES } from './bed/bed.ts';
import { Network } from './bed/network.ts';
import { writeReport } from './report.ts';
import type { Outcome } from './round.ts';
import { run } from './run.ts';

const USAGE = `usage: pnpm test:chaos [--seed <number>] [--seeds 1] [--minutes 20] [--report]

Three nodes with a real rqlited each, calls and operators at work, and faults one after the other as the seed decides; it
ends when a promise was not kept, or after --minutes in all. --seed begins with that seed, to replay it; --seeds runs so many in
turn. --report writes the times of recovery to docs/reliability.md. Without root it needs user namespaces.`;
const MINUTE_MS = 60_000;

const { values, positionals } = readCommandLine(USAGE, {
  seed: { type: 'string' },
  seeds: { type: 'string', default: '1' },
  minutes: { type: 'string', default: '20' },
  report: { type: 'boolean', default: false },
  /** Set by this program for itself, inside the hub's namespace. */
  inside: { type: 'string' },
});
if (positionals.length > 0) refuse(USAGE, `"${positionals[0]}" is no option`);
const seeds = whole('seeds', values.seeds, 1, 1_000);
const minutes = whole('minutes', values.minutes, 1, 24 * 60);
const first = whole('seed', values.seed ?? String(Math.floor(Math.random() * 2 ** 32)), 0, 2 ** 32 - 1);

if (process.getuid?.() !== 0) await asRoot();
else if (values.inside === undefined) await outside();
else await inside(new Network(values.inside, NODES));

/** Goes on as the root of a user namespace, with a folder of its own for the names of network namespaces. */
function asRoot(): Promise<void> {
  const unshare = ['unshare', '--user', '--map-root-user', '--net', '--mount'];
  return goOn([...unshare, 'sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$@"', 'sh']);
}

/** Makes the namespaces and goes on inside the hub's. */
async function outside(): Promise<void> {
  const name = `oc${process.pid}`;
  const network = new Network(name, NODES);
  try {
    network.create();
    await goOn(['ip', 'netns', 'exec', network.hub], ['--inside', name, '--seed', `${first}`]);
  } finally {
    network.killAll();
    network.remove();
  }
}

/** Runs this program again, by `wrapper` and with further arguments; ends as it does. */
async function goOn(wrapper: string[], further: string[] = []): Promise<void> {
  const [program = '', ...args] = [...wrapper, process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn(program, [...args, ...further], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill('SIGTERM'));
  const [code] = await once(child, 'exit');
  process.exitCode = (code as number | null) ?? 1;
}

async function inside(network: Network): Promise<void> {
  const outcomes: Outcome[] = [];
  for (let i = 0; i < seeds; i++) {
    const seed = (first + i) % 2 ** 32;
    console.log(`seed ${seed} (replay: pnpm test:chaos --seed ${seed} --minutes ${minutes})`);
    try {
      outcomes.push(...(await run({ network, seed, lastsMs: (minutes * MINUTE_MS) / seeds })));
    } catch (thrown) {
      console.error(thrown instanceof Error ? thrown.message : thrown);
      process.exitCode = 1;
      return;
    }
  }
  console.log(`${outcomes.length} faults, every promise kept`);
  if (values.report) writeReport(outcomes, seeds);
  process.exit();
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  return refuse(USAGE, `--${name} is "${text}", not a whole number from ${least} to ${most}`);
}
