import { namespaceNameSchema } from '@orama/protocol';
import { Argument, Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { changeWebrtc } from './change-webrtc.ts';

export function namespaceDisableCommand(): Command {
  return new Command('disable')
    .description('turn a feature off for a namespace and wait until nothing of it is left')
    .addArgument(new Argument('<feature>', 'what to turn off').choices(['webrtc']))
    .requiredOption('--ns, --namespace <name>', 'the namespace', schemaOption(namespaceNameSchema))
    .option('--timeout <seconds>', 'how long to wait; the work goes on afterwards', integerOption(1, 3_600), 60)
    .addHelpText('after', examples('orama namespace disable webrtc --namespace myapp'))
    .action(withContext(disableWebrtc));
}

async function disableWebrtc(
  context: Context,
  _feature: string,
  { namespace, timeout }: { namespace: string; timeout: number },
): Promise<void> {
  await changeWebrtc(context, {
    namespace,
    timeoutSec: timeout,
    doing: 'disabling WebRTC',
    begin: (client) => client.disableWebrtc(namespace),
    describe: ({ message, outcome }) =>
      outcome === 'unchanged' ? message : `WebRTC is disabled for namespace ${namespace}; nothing of it is left`,
  });
}
