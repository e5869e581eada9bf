import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples } from '../../options.ts';
import { describeOperation } from './describe.ts';

export function operationsShowCommand(): Command {
  return new Command('show')
    .description('show one operation with the timing of its steps')
    .argument('<operation>', 'its id, as "orama operations list" shows it')
    .addHelpText('after', examples('orama operations show op_0123456789abcdef'))
    .action(withContext(showOperation));
}

async function showOperation(context: Context, id: string): Promise<void> {
  const operation = await connect(context).operation(id);
  context.output.result({ operation }, () => describeOperation(context.output, operation));
}
