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
    const left = await leaveCluster({ force }, progress);
    progress.stop();
    const message = describeLeft(left);
    output.result({ node: left?.node ?? null, outcome: left ? 'changed' : 'unchanged', message }, () => message);
  } finally {
    progress.stop();
  }
}

function describeLeft(left: { node: string | null } | undefined): string {
  if (!left) return 'this machine is no node; nothing was changed';
  if (left.node !== null) return `this machine is ${left.node} no more`;
  return 'what an init or join had left that was cut off is gone; where a cluster took this machine in already, there: orama node remove <node> --force';
}
