import { namespaceNameSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, schemaOption } from '../../options.ts';
import { describeStatus } from './describe.ts';

export function namespaceWebrtcStatusCommand(): Command {
  return new Command('webrtc-status')
    .description('show what runs for a namespace, where, and what is wrong with it')
    .requiredOption('--ns, --namespace <name>', 'the namespace', schemaOption(namespaceNameSchema))
    .addHelpText(
      'after',
      examples('orama namespace webrtc-status --namespace myapp', 'orama namespace webrtc-status --ns myapp --json'),
    )
    .action(withContext(showStatus));
}

async function showStatus(context: Context, { namespace }: { namespace: string }): Promise<void> {
  const status = await connect(context).webrtcStatus(namespace);
  context.output.result(status, () => describeStatus(context.output, status));
}
