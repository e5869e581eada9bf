import {
  freeObjectSchema,
  MAX_PARTICIPANTS_LIMIT,
  MAX_SPEAKERS_LIMIT,
  METADATA_MAX_BYTES,
  roomIdSchema,
} from '@orama/protocol';
import { Command, InvalidArgumentError } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { addGatewayOptions, connectGateway } from '../../gateway/connect-gateway.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import type { GatewayOptions } from '../../settings.ts';

interface CreateOptions extends GatewayOptions {
  maxParticipants?: number;
  maxSpeakers?: number;
  spread?: boolean;
  metadata?: Record<string, unknown>;
}

export function roomCreateCommand(): Command {
  return addGatewayOptions(
    new Command('create')
      .description('create a room that stays until it is deleted; again with the same settings changes nothing')
      .argument('<room>', '1-128 printable ASCII characters without spaces', schemaOption(roomIdSchema))
      .option(
        '--max-participants <count>',
        'how many it takes (default: 100)',
        integerOption(1, MAX_PARTICIPANTS_LIMIT),
      )
      .option(
        '--max-speakers <count>',
        'forward the audio of so many loudest publishers only (default: of all)',
        integerOption(1, MAX_SPEAKERS_LIMIT),
      )
      .option('--spread', 'let clients be served by SFUs of several nodes, the least busy first')
      .option('--metadata <json>', 'JSON object that everybody who joins can read', metadataOption),
  )
    .addHelpText(
      'after',
      examples(
        'orama room create lobby --namespace myapp',
        `orama room create stage --namespace myapp --max-participants 500 --max-speakers 5 --spread --metadata '{"topic":"launch"}'`,
      ),
    )
    .action(withContext(createRoom));
}

async function createRoom(context: Context, id: string, options: CreateOptions): Promise<void> {
  const { maxParticipants, maxSpeakers, spread, metadata } = options;
  const room = await connectGateway(context, options).createRoom({
    room_id: id,
    ...(maxParticipants !== undefined && { max_participants: maxParticipants }),
    ...(maxSpeakers !== undefined && { max_speakers: maxSpeakers }),
    ...(spread !== undefined && { spread }),
    ...(metadata !== undefined && { metadata }),
  });
  context.output.result(room, () => `room ${room.room_id} takes ${room.max_participants} participants`);
}

function metadataOption(text: string): Record<string, unknown> {
  const parsed = freeObjectSchema.safeParse(parseJson(text));
  if (!parsed.success) throw new InvalidArgumentError(`Use a JSON object, such as '{"topic":"launch"}'.`);
  if (Buffer.byteLength(JSON.stringify(parsed.data)) > METADATA_MAX_BYTES)
    throw new InvalidArgumentError(`Use at most ${METADATA_MAX_BYTES} bytes.`);
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
