import type { ControlplaneClient } from '@orama/controlplane/client';
import { type NodeChanged, nodeIdSchema } from '@orama/protocol';
import { Argument, Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, schemaOption } from '../../options.ts';

/** A command that changes the state of a node by one call. */
function changeCommand<O>(
  verb: string,
  description: string,
  change: (client: ControlplaneClient, node: string, options: O) => Promise<NodeChanged>,
): Command {
  return new Command(verb)
    .description(description)
    .addArgument(new Argument('<node>', 'the node').argParser(schemaOption(nodeIdSchema)))
    .addHelpText('after', examples(`orama node ${verb} node-1`))
    .action(
      withContext(async (context: Context, node: string, options: O) => {
        const changed = await change(connect(context), node, options);
        context.output.result(changed, () => changed.message);
      }),
    );
}

export function nodeResumeCommand(): Command {
  const description = 'let a node take part again after a drain';
  return changeCommand('resume', description, (client, node) => client.resumeNode(node));
}

export function nodeReadmitCommand(): Command {
  const description = 'let a node take part again that was removed, as it is; a machine that is new joins';
  return changeCommand('readmit', description, (client, node) => client.readmitNode(node));
}

export function nodeRemoveCommand(): Command {
  return changeCommand<{ force?: boolean }>(
    'remove',
    'take a drained node out of the cluster for good',
    (client, node, { force = false }) => client.removeNode(node, { force }),
  ).option('--force', 'a node that is unreachable and will never come back; what it had is free without its word');
}
