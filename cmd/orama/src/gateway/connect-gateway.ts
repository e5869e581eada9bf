import { namespaceNameSchema } from '@orama/protocol';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { schemaOption } from '../options.ts';
import type { GatewayOptions } from '../settings.ts';
import { GatewayClient } from './gateway-client.ts';

/** Adds the options that say whose rooms a command is about. */
export function addGatewayOptions(command: Command): Command {
  return command
    .option(
      '--ns, --namespace <name>',
      'namespace of the local cluster, by the API key that is kept there',
      schemaOption(namespaceNameSchema),
    )
    .option('--gateway <url>', 'gateway to talk to instead (ORAMA_GATEWAY), with the key in --api-key-file')
    .option('--api-key-file <file>', "file with the namespace's owner API key (ORAMA_API_KEY_FILE)");
}

/** The gateway that a command is about, as the owner of a namespace. */
export function connectGateway(context: Context, options: GatewayOptions): GatewayClient {
  return new GatewayClient(context.settings.gateway(options));
}
