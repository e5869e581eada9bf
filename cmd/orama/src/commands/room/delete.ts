import { roomIdSchema } from '@orama/protocol';
import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { addGatewayOptions, connectGateway } from '../../gateway/connect-gateway.ts';
import { examples, schemaOption } from '../../options.ts';
import type { GatewayOptions } from '../../settings.ts';

export function roomDeleteCommand(): Command {
  return addGatewayOptions(
    new Command('delete')
      .description('delete a room; everybody in it is told and disconnected')
      .argument('<room>', 'the room id', schemaOption(roomIdSchema)),
  )
    .addHelpText('after', examples('orama room delete lobby --namespace myapp'))
    .action(withContext(deleteRoom));
}

async function deleteRoom(context: Context, id: string, options: GatewayOptions): Promise<void> {
  await connectGateway(context, options).deleteRoom(id);
  context.output.result({ deleted: id }, () => `room ${id} is deleted`);
}
