import { namespaceNameSchema } from '@orama/protocol';
import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import type { CheckOptions } from '../../turn-check/run.ts';

export function turnCheckCommand(): Command {
  return new Command('check')
    .description('allocate on a TURN server and relay packets to oneself, measuring every step a client takes')
    .argument('[uri]', 'turn:, turns:, stun: or stuns: URI (RFC 7064, 7065); without it those of the namespace')
    .option(
      '--ns, --namespace <name>',
      'fetch credentials of this namespace from the controlplane',
      schemaOption(namespaceNameSchema),
    )
    .option('--username <username>', 'TURN username')
    .option('--password <password>', 'TURN password')
    .option('--insecure', 'go on with a certificate that is not to be trusted')
    .option('--no-relay', 'end with the allocation')
    .option('--packets <count>', 'packets to relay', integerOption(1, 1_000), 10)
    .option('--timeout <seconds>', 'how long each step may take', integerOption(1, 60), 5)
    .addHelpText(
      'after',
      examples(
        'orama turn check --namespace myapp',
        'orama turn check turns:turn.ns-myapp.example.org --namespace myapp',
        'orama turn check turn:192.0.2.1:3478?transport=tcp --username 1790000600:myapp --password <password>',
        'orama turn check stun:192.0.2.1',
      ),
    )
    .action(withContext(check));
}

async function check(context: Context, uri: string | undefined, options: CheckOptions): Promise<void> {
  // A client of STUN and TURN is loaded by this command only.
  const { runChecks } = await import('../../turn-check/run.ts');
  await runChecks(context, uri, options);
}
