import { namespaceNameSchema } from '@orama/protocol';
import { Argument, Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { changeWebrtc } from './change-webrtc.ts';
import { describeStatus } from './describe.ts';
import { addTurnOptions, givenTurnSettings, type TurnOptions } from './turn-options.ts';

interface EnableOptions extends TurnOptions {
  namespace: string;
  sfuNodes: number;
  turnNodes: number;
  allowDegraded?: true;
  turnCredentialTtl: number;
  timeout: number;
}

export function namespaceEnableCommand(): Command {
  const command = new Command('enable')
    .description('turn a feature on for a namespace and wait until it serves')
    .addArgument(new Argument('<feature>', 'what to turn on').choices(['webrtc']))
    .requiredOption('--ns, --namespace <name>', 'the namespace', schemaOption(namespaceNameSchema))
    .option('--sfu-nodes <count>', 'nodes that run an SFU for it', integerOption(1, 9), 3)
    .option('--turn-nodes <count>', 'nodes that serve TURN for it', integerOption(1, 9), 2)
    .option('--allow-degraded', 'take as many nodes as there are; the others are added when they come')
    .option('--turn-credential-ttl <seconds>', 'life of a TURN credential', integerOption(5, 86_400), 600)
    .option('--timeout <seconds>', 'how long to wait; the work goes on afterwards', integerOption(1, 3_600), 60);
  return addTurnOptions(command)
    .addHelpText(
      'after',
      examples(
        'orama namespace enable webrtc --namespace myapp',
        'orama namespace enable webrtc --ns myapp --turn-nodes 3',
        'orama namespace enable webrtc --ns myapp --peer-policy public --bytes-per-sec 12500000',
      ),
    )
    .action(withContext(enableWebrtc));
}

async function enableWebrtc(context: Context, _feature: string, options: EnableOptions): Promise<void> {
  const { namespace } = options;
  const turn = givenTurnSettings(options);
  await changeWebrtc(context, {
    namespace,
    timeoutSec: options.timeout,
    doing: 'enabling WebRTC',
    begin: (client) =>
      client.enableWebrtc(namespace, {
        sfuNodeCount: options.sfuNodes,
        turnNodeCount: options.turnNodes,
        allowDegraded: options.allowDegraded ?? false,
        turnCredentialTtlSec: options.turnCredentialTtl,
        turn,
      }),
    describe: ({ message, status, outcome }) =>
      [
        outcome === 'unchanged' ? message : `WebRTC is enabled for namespace ${namespace}`,
        describeStatus(context.output, status),
      ].join('\n\n'),
  });
}
