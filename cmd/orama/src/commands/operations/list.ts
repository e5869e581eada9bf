import { namespaceNameSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { describeOperations } from './describe.ts';

export function operationsListCommand(): Command {
  return new Command('list')
    .description('show what was asked of the cluster, the newest first')
    .option('--ns, --namespace <name>', 'only of this namespace', schemaOption(namespaceNameSchema))
    .option('--limit <count>', 'how many', integerOption(1, 200), 20)
    .addHelpText('after', examples('orama operations list', 'orama operations list --namespace myapp --limit 5 --json'))
    .action(withContext(listOperations));
}

async function listOperations(context: Context, options: { namespace?: string; limit: number }): Promise<void> {
  const operations = await connect(context).operations({ namespace: options.namespace, limit: options.limit });
  context.output.result({ operations }, () =>
    operations.length === 0 ? 'nothing was asked yet' : describeOperations(context.output, operations),
  );
}
