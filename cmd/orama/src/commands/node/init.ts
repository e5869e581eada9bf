import { baseDomainSchema } from '@orama/protocol';
import { Command, Option } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { withInterrupt } from '../../interrupt.ts';
import type { InitOptions } from '../../node-setup/init-node.ts';
import { DEFAULT_INTERFACE, DEFAULT_NETWORK } from '../../node-setup/paths.ts';
import { examples, schemaOption } from '../../options.ts';
import { cidrOption, machineOptions } from './machine-options.ts';

export function nodeInitCommand(): Command {
  const command = new Command('init')
    .description(
      'make this machine the first node of a cluster: its WireGuard interface, its configuration, its services',
    )
    .requiredOption('--base-domain <name>', 'below which the names of namespaces are', schemaOption(baseDomainSchema))
    .option('--wireguard-network <cidr>', `network of the nodes (${DEFAULT_NETWORK})`, cidrOption)
    .addOption(
      new Option(
        '--store <store>',
        'replicated on all nodes (rqlite), or a file of this machine, which then stays alone',
      ).choices(['rqlite', 'sqlite']),
    )
    .addOption(
      new Option('--dns <writer>', 'answer for the base domain on port 53 (embedded), or write a zone file').choices([
        'embedded',
        'file',
      ]),
    )
    .addOption(
      new Option(
        '--certificates <source>',
        'have the Caddy of each node get them, or leave that to you (none)',
      ).choices(['none', 'caddy']),
    )
    .option('--call-page', 'serve the call page at every gateway, for trying calls')
    .option(
      '--operator-api',
      'let operators with a token come through every gateway, as "orama --env" does: at https://api.<base domain>',
    );
  return machineOptions(command)
    .addHelpText(
      'after',
      `
Run again it goes on where it was cut off, and does nothing to a node that runs. An interface that is there already is
used as it is (--wireguard-interface wg0); else ${DEFAULT_INTERFACE} is made, and its peers are kept as nodes come and go.
${examples(
  'orama node init --base-domain example.com',
  'orama node init --base-domain example.com --certificates caddy',
  'orama node init --base-domain example.com --public-ip 198.51.100.7',
  'orama node init --base-domain example.com --wireguard-interface wg0',
  'orama node init --base-domain example.com --wireguard-interface eth1 --trusted-network 10.1.0.0/24',
)}`,
    )
    .action(onThisMachine(init));
}

async function init({ output }: Context, options: InitOptions): Promise<void> {
  // Nothing else works on the machine itself.
  const { initNode } = await import('../../node-setup/init-node.ts');
  const progress = await output.progress('looking at this machine');
  try {
    const config = await withInterrupt((signal) => initNode(options, progress, signal));
    progress.stop();
    const { node, clusterId, baseDomain, wireguardIp, publicIp } = config;
    output.result({ node, clusterId, baseDomain, wireguardIp, publicIp }, () =>
      [
        `${node} is ready: the first node of the cluster for ${baseDomain}`,
        ...(config.store.driver === 'rqlite'
          ? ['next: orama node invite prints the token that another machine joins with']
          : []),
        'next: orama namespace create <name>; orama namespace enable webrtc --namespace <name> --allow-degraded',
      ].join('\n'),
    );
  } finally {
    progress.stop();
  }
}
