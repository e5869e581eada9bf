import { roomIdSchema } from '@orama/protocol';
import { Command, Option } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { addGatewayOptions, connectGateway } from '../../gateway/connect-gateway.ts';
import { examples, schemaOption } from '../../options.ts';
import type { GatewayOptions } from '../../settings.ts';

interface MuteOptions extends GatewayOptions {
  kind?: 'audio' | 'video';
  lift?: true;
}

export function roomMuteCommand(): Command {
  return addGatewayOptions(
    new Command('mute')
      .description('drop what a peer sends, for everybody; the peer itself cannot undo it')
      .argument('<room>', 'the room id', schemaOption(roomIdSchema))
      .argument('<peer>', 'the peer id, as "orama room show" has it')
      .addOption(new Option('--kind <kind>', 'only tracks of this kind').choices(['audio', 'video']))
      .option('--lift', 'let it be heard and seen again'),
  )
    .addHelpText(
      'after',
      examples(
        'orama room mute lobby p_7h3k --kind audio --namespace myapp',
        'orama room mute lobby p_7h3k --lift --namespace myapp',
      ),
    )
    .action(withContext(mute));
}

async function mute(context: Context, room: string, peer: string, options: MuteOptions): Promise<void> {
  const { kind } = options;
  const muted = options.lift !== true;
  const affected = await connectGateway(context, options).mute(room, peer, { muted, ...(kind && { kind }) });
  context.output.result({ room, peer, muted, ...(kind && { kind }), affected }, () => {
    const tracks = affected === 1 ? '1 track' : `${affected} tracks`;
    return `${tracks} of peer ${peer} ${muted ? 'muted' : 'unmuted'}`;
  });
}
