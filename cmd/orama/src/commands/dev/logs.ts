import { UserError } from '@orama/core';
import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { findLogs, LogFollower, tail } from '../../dev/logs.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, integerOption } from '../../options.ts';
import { readDevState } from '../../settings.ts';
import { pause } from '../../wait.ts';

const FOLLOW_MS = 200;

export function devLogsCommand(): Command {
  return new Command('logs')
    .description('show the logs of the local cluster, each line with its node and unit')
    .argument('[unit]', 'a node, a unit or both: node-1, gateway, turn, sfu@demo, node-1/controlplane')
    .option('-f, --follow', 'go on as lines come, until Ctrl-C')
    .option('-n, --lines <count>', 'lines of each log to begin with', integerOption(0, 10_000), 20)
    .addHelpText('after', examples('orama dev logs', 'orama dev logs node-1/turn -n 100', 'orama dev logs sfu@demo -f'))
    .action(onThisMachine(showLogs));
}

async function showLogs(
  { settings, output }: Context,
  unit: string | undefined,
  options: { follow?: true; lines: number },
) {
  const state = readDevState(settings.dataDir);
  const logs = state ? findLogs(settings.dataDir, state, unit) : [];
  if (!state || logs.length === 0) {
    const known = state ? [...new Set(findLogs(settings.dataDir, state).map(({ name }) => name))].join(', ') : '';
    throw new UserError(
      'NOT_FOUND',
      unit ? `there is no log of "${unit}"` : `there are no logs in ${settings.dataDir}`,
      {
        hint: known ? `these exist: ${known}` : 'start the cluster with "orama dev start --detach"',
      },
    );
  }
  const print = (name: string, line: string) =>
    output.json
      ? process.stdout.write(`${JSON.stringify({ unit: name, line })}\n`)
      : process.stdout.write(`${output.style('cyan', name)} ${line}\n`);
  const followers = logs.map(({ name, file }) => {
    const { lines, end } = tail(file, options.lines);
    for (const line of lines) print(name, line);
    return { name, follower: new LogFollower(file, end) };
  });
  if (!options.follow) return;
  await withInterrupt(async (signal) => {
    for (;;) {
      for (const { name, follower } of followers) for (const line of follower.read()) print(name, line);
      await pause(FOLLOW_MS, signal);
    }
  }).catch((thrown: unknown) => {
    if (!(thrown instanceof Interrupted)) throw thrown;
  });
}
