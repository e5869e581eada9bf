import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { examples } from '../../options.ts';

export function nodeLeaveCommand(): Command {
  return new Command('leave')
    .description(
      'make this machine no node any more: out of the cluster, its services ended, its files and interface gone',
    )
    .option('--force', 'without asking the cluster, which then still has it: remove it there')
    .addHelpText('after', examples('orama node leave', 'orama node leave --force'))
    .action(onThisMachine(leave));
}

async function leave({ output }: Context, { force = false }: { force?: boolean }): Promise<void> {
  const { leaveCluster } = await import('../../node-setup/leave-cluster.ts');
  const progress = await output.progress('looking at this machine');
  try {
    const node = await leaveCluster({ force }, progress);
    progress.stop();
    const message = node === null ? 'this machine is no node; nothing was changed' : `this machine is ${node} no more`;
    output.result({ node, outcome: node === null ? 'unchanged' : 'changed', message }, () => message);
  } finally {
    progress.stop();
  }
}
