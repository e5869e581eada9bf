// `pnpm quality [<scenario> ...] [--short]`: what a call is like over bad networks, in real browsers.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readCommandLine, refuse } from '../support/command-line.ts';
import { Bed, CLIENTS, PREFIX } from './bed/bed.ts';
import { Network } from './bed/network.ts';
import { writeReport } from './report.ts';
import { joins } from './scenarios/joins.ts';
import { loss } from './scenarios/loss.ts';
import { room } from './scenarios/room.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { pause, squeeze } from './scenarios/squeeze.ts';

const SCENARIOS: Scenario[] = [loss, squeeze, pause, room, joins];
const USAGE = `usage: pnpm quality [${SCENARIOS.map(({ name }) => name).join(' | ')}] ... [--short]`;

const { values, positionals } = readCommandLine(USAGE, {
  short: { type: 'boolean', default: false },
  /** Set by this program for itself, inside the namespace of the servers. */
  inside: { type: 'string' },
});
const unknown = positionals.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
if (unknown !== undefined) refuse(USAGE, `there is no scenario "${unknown}"`);
if (process.getuid?.() !== 0) refuse(USAGE, 'network namespaces need root: run it with sudo');
const wanted = SCENARIOS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

if (values.inside === undefined) await outside();
else await inside(values.inside);

/** Makes the namespaces and goes on inside the servers' one, so that nothing touches this machine's own network. */
async function outside(): Promise<void> {
  const name = `oq${process.pid}`;
  const network = Network.create({ name, clients: CLIENTS, prefix: PREFIX });
  try {
    const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1), '--inside', name];
    const child = spawn('ip', ['netns', 'exec', Network.serverNamespace(name), ...again], { stdio: 'inherit' });
    const stop = () => child.kill('SIGTERM');
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
    const [code] = await once(child, 'exit');
    process.exitCode = (code as number | null) ?? 1;
  } finally {
    network.remove();
  }
}

async function inside(name: string): Promise<void> {
  let failed = 0;
  for (const scenario of wanted) {
    console.log(`\n${scenario.title}`);
    // A bed of its own for each: what one leaves behind is not the next one's.
    const bed = await Bed.start(name);
    try {
      const rows = await scenario.run(bed, values.short);
      for (const { what, mark, measured, passed } of rows)
        console.log(
          `  ${mark === '' ? '    ' : passed ? 'ok  ' : 'MISS'} ${what}: ${measured}${mark === '' ? '' : ` (${mark})`}`,
        );
      failed += rows.filter(({ passed }) => !passed).length;
      writeReport(scenario.title, rows, { browsers: bed.versions, short: values.short });
    } catch (thrown) {
      failed++;
      console.log(`  MISS ended with ${thrown instanceof Error ? thrown.stack : thrown}`);
    } finally {
      await bed.stop();
    }
  }
  process.exitCode = failed === 0 ? 0 : 1;
}
