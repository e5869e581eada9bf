import { roomIdSchema } from '@orama/protocol';
import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { addGatewayOptions, connectGateway } from '../../gateway/connect-gateway.ts';
import { examples, schemaOption } from '../../options.ts';
import type { GatewayOptions } from '../../settings.ts';

export function roomKickCommand(): Command {
  return addGatewayOptions(
    new Command('kick')
      .description('remove a peer from a room')
      .argument('<room>', 'the room id', schemaOption(roomIdSchema))
      .argument('<peer>', 'the peer id, as "orama room show" has it'),
  )
    .addHelpText('after', examples('orama room kick lobby p_7h3k --namespace myapp'))
    .action(withContext(kick));
}

async function kick(context: Context, room: string, peer: string, options: GatewayOptions): Promise<void> {
  await connectGateway(context, options).kick(room, peer);
  context.output.result({ room, kicked: peer }, () => `peer ${peer} was removed from room ${room}`);
}
