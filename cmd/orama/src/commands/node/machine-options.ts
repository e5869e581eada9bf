import { cidrSchema, interfaceNameSchema, ipSchema, ipv6Schema, nodeIdSchema } from '@orama/protocol';
import { type Command, Option } from 'commander';
import { integerOption, schemaOption } from '../../options.ts';

export const cidrOption = schemaOption(cidrSchema);

/** Options about the machine that becomes a node. */
export function machineOptions(command: Command): Command {
  return command
    .option('--name <node>', "name of the node (the machine's)", schemaOption(nodeIdSchema))
    .option('--region <name>', 'where it stands (default)')
    .option('--public-ip <address>', 'how clients reach it, where that is not seen here', schemaOption(ipSchema))
    .option('--public-ip6 <address>', 'the same in IPv6, where it has one', schemaOption(ipv6Schema))
    .option('--wireguard-interface <name>', 'interface to use or to make', schemaOption(interfaceNameSchema))
    .option('--wireguard-port <port>', 'of an interface that is made', integerOption(1, 65_535), 51_820)
    .option('--trusted-network <cidr>', 'a network that nobody else is in, used without WireGuard', cidrOption)
    .addOption(
      new Option(
        '--firewall <driver>',
        'have the ports of the node opened in the firewall of the machine (none)',
      ).choices(['none', 'auto', 'ufw', 'nftables']),
    );
}
