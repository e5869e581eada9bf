import { nodeIdSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, schemaOption } from '../../options.ts';

export function turnResumeCommand(): Command {
  return new Command('resume')
    .description('let the TURN server of a node run again after a drain')
    .requiredOption('--node <node>', 'the node', schemaOption(nodeIdSchema))
    .addHelpText('after', examples('orama turn resume --node node-1'))
    .action(withContext(resume));
}

async function resume(context: Context, { node }: { node: string }): Promise<void> {
  const turn = await connect(context).resumeTurn(node);
  context.output.result(turn, () =>
    turn.server?.draining
      ? `the TURN server of ${node} still drains; another one starts when it has ended`
      : turn.server
        ? `the TURN server of ${node} runs`
        : `the TURN server of ${node} is being started`,
  );
}
