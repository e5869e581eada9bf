import { namespaceNameSchema } from '@orama/protocol';
import { Argument, Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { changeWebrtc } from './change-webrtc.ts';

interface RotateOptions {
  namespace: string;
  force?: boolean;
  timeout: number;
}

export function namespaceRotateSecretCommand(): Command {
  return new Command('rotate-secret')
    .description('give a namespace another TURN secret while calls go on, and wait until every server has it')
    .addArgument(new Argument('<feature>', 'whose secret').choices(['webrtc']))
    .requiredOption('--ns, --namespace <name>', 'the namespace', schemaOption(namespaceNameSchema))
    .option('--force', 'also while credentials of the secret before the last rotation are valid: they are refused then')
    .option('--timeout <seconds>', 'how long to wait; the work goes on afterwards', integerOption(1, 3_600), 60)
    .addHelpText(
      'after',
      examples(
        'orama namespace rotate-secret webrtc --namespace myapp',
        'orama namespace rotate-secret webrtc --ns myapp --force',
      ),
    )
    .action(withContext(rotateSecret));
}

async function rotateSecret(context: Context, _feature: string, options: RotateOptions): Promise<void> {
  const { namespace, force = false } = options;
  await changeWebrtc(context, {
    namespace,
    timeoutSec: options.timeout,
    doing: 'rotating the TURN secret',
    begin: (client) => client.rotateSecret(namespace, { force }),
    describe: ({ status }) => {
      const until = status.formerSecretValidUntil;
      const former = until === undefined ? '' : `; credentials made before are valid until ${until}`;
      return `namespace ${namespace} has another TURN secret${former}`;
    },
  });
}
