import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { addGatewayOptions, connectGateway } from '../../gateway/connect-gateway.ts';
import { examples } from '../../options.ts';
import { renderTable } from '../../output/table.ts';
import type { GatewayOptions } from '../../settings.ts';

export function roomListCommand(): Command {
  return addGatewayOptions(new Command('list').description('list the rooms of a namespace'))
    .addHelpText(
      'after',
      examples(
        'orama room list --namespace myapp',
        'orama room list --gateway https://ns-myapp.example.org --api-key-file myapp.key --json',
      ),
    )
    .action(withContext(listRooms));
}

async function listRooms(context: Context, options: GatewayOptions): Promise<void> {
  const rooms = await connectGateway(context, options).rooms();
  context.output.result({ rooms }, () =>
    rooms.length === 0
      ? 'there is no room; one is made when somebody joins it, or with "orama room create <room>"'
      : renderTable(
          context.output,
          ['room', 'node', 'participants', 'tracks', 'at most', 'speakers', 'created'],
          rooms.map((room) => [
            room.room_id,
            room.node ?? '',
            String(room.participants),
            String(room.tracks),
            String(room.max_participants),
            String(room.max_speakers ?? 'all'),
            room.created_at,
          ]),
        ),
  );
}
