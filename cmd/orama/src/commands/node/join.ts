import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { withInterrupt } from '../../interrupt.ts';
import type { JoinOptions } from '../../node-setup/join-node.ts';
import { examples } from '../../options.ts';
import { machineOptions } from './machine-options.ts';

export function nodeJoinCommand(): Command {
  const command = new Command('join')
    .description('make this machine a node of a cluster, with a token that "orama node invite" printed there')
    .argument(
      '[token]',
      'the token, which all users of this machine then see; "-" or nothing reads it from standard input',
    )
    .option('--token-file <file>', 'file that holds the token');
  return machineOptions(command)
    .addHelpText(
      'after',
      `
Run again it goes on where it was cut off, with the same token while that is good, and without one when only the
services were not up yet.
${examples('orama node join --token-file token --name node-2', 'ssh node-1 orama node invite | orama node join')}`,
    )
    .action(onThisMachine(join));
}

async function join({ output }: Context, token: string | undefined, options: JoinOptions): Promise<void> {
  const { joinNode } = await import('../../node-setup/join-node.ts');
  const progress = await output.progress('looking at this machine');
  try {
    const config = await withInterrupt((signal) => joinNode(token, options, progress, signal));
    progress.stop();
    const { node, clusterId, baseDomain, wireguardIp, publicIp } = config;
    output.result(
      { node, clusterId, baseDomain, wireguardIp, publicIp },
      () => `${node} is a node of ${baseDomain} and ready`,
    );
  } finally {
    progress.stop();
  }
}
