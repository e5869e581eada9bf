import type { Operation, OperationStarted } from '@orama/protocol';
import { EXIT, nodeIdSchema } from '@orama/protocol';
import { Argument, Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { watchOperation } from '../../watch-operation.ts';

/** Beyond the deadline: services end, and are confirmed to be gone. */
const MARGIN_SEC = 60;

export function nodeDrainCommand(): Command {
  return new Command('drain')
    .description('take everything off a node: others take over first, calls are told to reconnect')
    .addArgument(new Argument('<node>', 'the node').argParser(schemaOption(nodeIdSchema)))
    .option('--deadline <seconds>', 'when allocations that are left are ended', integerOption(1, 86_400), 300)
    .addHelpText('after', examples('orama node drain node-1', 'orama node drain node-1 --deadline 60'))
    .action(withContext(drain));
}

async function drain(context: Context, node: string, { deadline }: { deadline: number }): Promise<void> {
  const client = connect(context);
  const progress = await context.output.progress(`draining ${node}`);
  let started: OperationStarted | undefined;
  try {
    const operation = await withInterrupt(async (signal): Promise<Operation | null> => {
      started = await client.drainNode(node, { deadlineMs: deadline * 1000 });
      if (!started.operation) return null;
      const timeoutSec = deadline + MARGIN_SEC;
      return watchOperation({ client, operation: started.operation, timeoutSec, progress, signal });
    });
    progress.stop();
    const message = operation
      ? `nothing is on ${node} any more; it takes part again with "orama node resume ${node}"`
      : (started?.message ?? '');
    context.output.result({ outcome: started?.outcome, message, operation }, () => message);
  } catch (thrown) {
    progress.stop();
    if (!(thrown instanceof Interrupted)) throw thrown;
    const message = `no longer watching, but the drain goes on: see "orama node list", or run the same command again`;
    context.output.result({ outcome: 'interrupted', message, operation: started?.operation ?? null }, () => message);
    process.exitCode = EXIT.failed;
  }
}
