import { type ParticipantList, type Room, roomIdSchema } from '@orama/protocol';
import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { addGatewayOptions, connectGateway } from '../../gateway/connect-gateway.ts';
import { examples, schemaOption } from '../../options.ts';
import type { Output } from '../../output/output.ts';
import { renderFields, renderTable } from '../../output/table.ts';
import type { GatewayOptions } from '../../settings.ts';

export function roomShowCommand(): Command {
  return addGatewayOptions(
    new Command('show')
      .description('show a room and who is in it with which tracks')
      .argument('<room>', 'the room id', schemaOption(roomIdSchema)),
  )
    .addHelpText('after', examples('orama room show lobby --namespace myapp'))
    .action(withContext(showRoom));
}

async function showRoom(context: Context, id: string, options: GatewayOptions): Promise<void> {
  const gateway = connectGateway(context, options);
  const [room, participants] = await Promise.all([gateway.room(id), gateway.participants(id)]);
  context.output.result({ room, participants }, () => describe(context.output, room, participants));
}

function describe(output: Output, room: Room, participants: ParticipantList['participants']): string {
  const fields = renderFields([
    ['room', room.room_id],
    ['node', room.node ?? 'none yet'],
    ...(room.spread || room.nodes.length > 1 ? ([['served by', servers(room)]] as [string, string][]) : []),
    ['created', room.created_at],
    ['participants', `${participants.length} of at most ${room.max_participants}`],
    ['speakers', room.max_speakers === null ? 'all forwarded' : `the loudest ${room.max_speakers} forwarded`],
    ...(room.metadata ? ([['metadata', JSON.stringify(room.metadata)]] as [string, string][]) : []),
  ]);
  if (participants.length === 0) return fields;
  const rows = participants.map(({ peerId, name, node, tracks }) => [
    peerId,
    node ?? '',
    name ?? '',
    tracks.map(({ kind, source, muted }) => `${source ?? kind}${muted ? ' (muted)' : ''}`).join(', '),
  ]);
  return `${fields}\n\n${renderTable(output, ['peer', 'node', 'name', 'tracks'], rows)}`;
}

function servers({ nodes }: Room): string {
  if (nodes.length === 0) return 'any node';
  return nodes.map(({ node, participants }) => `${node} (${participants})`).join(', ');
}
