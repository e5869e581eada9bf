import { roomIdSchema } from '@orama/protocol';
import { ClientError } from '../errors.ts';
import type { ConnectOptions } from './options.ts';
import { Room } from './room.ts';
import { requireDescription } from './said.ts';

/**
 * Joins a room.
 *
 * ```ts
 * const room = await connect({ url: 'https://ns-demo.example.com', apiKey, room: 'standup', name: 'Ada' });
 * room.on('track-added', (track) => show(track.mediaStreamTrack));
 * await room.publish(cameraTrack);
 * ```
 *
 * Resolves once the server has let us in; media follows by itself. Who is there already stands in
 * `room.participants`; listeners added right after the `await` miss nothing of what comes.
 * @throws ClientError with the one reason why it did not work
 */
export async function connect(options: ConnectOptions): Promise<Room> {
  const id = roomIdSchema.safeParse(options.room);
  if (!id.success) throw new ClientError('invalid_argument', `room id: ${id.error.issues[0]?.message}`);
  if (!URL.canParse(options.url)) throw new ClientError('invalid_argument', `not a URL: ${options.url}`);
  if (options.apiKey === undefined && options.token === undefined && !options.getCredentials) {
    throw new ClientError('invalid_argument', 'connect() needs apiKey, token or getCredentials');
  }
  requireDescription(options);
  const room = new Room(options);
  const retry = () => room.reconnectNow();
  globalThis.addEventListener?.('online', retry);
  room.once('disconnected', () => globalThis.removeEventListener?.('online', retry));
  await room.joined;
  return room;
}
