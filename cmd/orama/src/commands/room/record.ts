import { resolve } from 'node:path';
import { roomIdSchema } from '@orama/protocol';
import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { addGatewayOptions } from '../../gateway/connect-gateway.ts';
import { withInterrupt } from '../../interrupt.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { renderTable } from '../../output/table.ts';
import type { GatewayOptions } from '../../settings.ts';

interface RecordOptions extends GatewayOptions {
  output: string;
  duration?: number;
  name: string;
}

const DAY_SEC = 86_400;

export function roomRecordCommand(): Command {
  return addGatewayOptions(
    new Command('record')
      .description('record every track of a room into files on this machine, until Ctrl-C')
      .argument('<room>', 'the room id', schemaOption(roomIdSchema))
      .requiredOption('-o, --output <folder>', 'folder for the files; made if it is not there')
      .option('--duration <seconds>', 'end after so many seconds', integerOption(1, 7 * DAY_SEC))
      .option('--name <name>', 'what the others in the room see', 'recorder'),
  )
    .addHelpText(
      'after',
      examples(
        'orama room record lobby --namespace myapp --output lobby-monday',
        'orama room record lobby --namespace myapp --output tour --duration 3600 --json',
      ),
    )
    .action(withContext(record));
}

async function record(context: Context, room: string, options: RecordOptions): Promise<void> {
  const { url, apiKey } = context.settings.gateway(options);
  const folder = resolve(options.output);
  // The media engine is loaded by this command only.
  const { RoomRecorder } = await import('@orama/sfu/record');
  const { openMediaWay } = await import('../../gateway/media-way.ts');
  const progress = await context.output.progress(`recording ${room} into ${folder}; Ctrl-C ends it`);
  try {
    const recording = await withInterrupt((interrupted) => {
      const limits = [interrupted];
      if (options.duration !== undefined) limits.push(AbortSignal.timeout(options.duration * 1000));
      const recorder = new RoomRecorder({
        ...{ gateway: url, apiKey, room, folder, name: options.name, signal: AbortSignal.any(limits) },
        openWay: openMediaWay,
        onTrack: ({ file, name, peerId, codec }) => progress.step(`${file}: ${codec} of ${name ?? peerId}`),
        onNote: (text) => progress.step(text),
      });
      return recorder.run();
    });
    progress.stop();
    context.output.result({ folder, ...recording }, () => {
      if (recording.tracks.length === 0) return `nothing was sent in ${room}; ${folder} holds no track`;
      const rows = recording.tracks.map(({ file, name, peerId, codec, startSec, durationSec, lostPackets }) => [
        file,
        name ?? peerId,
        codec,
        `${startSec.toFixed(1)} s`,
        `${durationSec.toFixed(1)} s`,
        String(lostPackets),
      ]);
      const header = ['file', 'from', 'codec', 'begins at', 'lasts', 'packets lost'];
      return `${folder}\n${renderTable(context.output, header, rows)}`;
    });
  } catch (thrown) {
    progress.fail(`the recording of ${room} ended`);
    throw thrown;
  }
}
