import type { ClientFrameOf } from '@orama/protocol';
import type { ClientError } from '../errors.ts';
import type { LocalTrack } from '../media/local-track.ts';
import type { RoomStats } from '../media/stats.ts';
import type { ReceivedChannel } from './channels.ts';
import type { ActiveSpeaker, ReceivedTrack, ReceptionQuality, RemoteParticipant, RemoteTrack } from './participants.ts';

export type RoomState = 'connecting' | 'connected' | 'reconnecting' | 'disconnected';

/** Limits of a subscription; what is left out is as good as the network allows. */
export type SubscriptionOptions = Partial<
  Pick<ClientFrameOf<'subscribe'>, 'maxLayer' | 'maxWidth' | 'maxHeight' | 'maxFps' | 'priority'>
>;

/** How large a picture may be at most; see `Room.setQuality()`. */
export type QualityLimit = 'low' | 'medium' | 'high';

export interface RoomEvents {
  'participant-joined': [participant: RemoteParticipant];
  /** Changed its name or metadata. */
  'participant-updated': [participant: RemoteParticipant];
  /** `reason` is the server's, or `reconnected` when we joined anew and everybody is about to be announced again. */
  'participant-left': [participant: RemoteParticipant, reason: string];
  /** The media of a track is there and can be attached to an element. */
  'track-added': [track: ReceivedTrack, participant: RemoteParticipant];
  'track-removed': [track: RemoteTrack, participant: RemoteParticipant];
  /** Muted or unmuted, sent in another codec or other layers, or `delivery` changed: paused, or flowing again. */
  'track-updated': [track: RemoteTrack, participant: RemoteParticipant];
  /** One of ours changed; `forced` when the room's owner muted it. */
  'local-track-updated': [track: LocalTrack, change: { forced: boolean }];
  /** One of ours is no longer published: it ended, or the server refused it. */
  'local-track-removed': [track: LocalTrack, reason: ClientError | undefined];
  /** The connection or the media broke; the room comes back by itself. */
  reconnecting: [info: { reason: ClientError; attempt: number }];
  /** Back. When `resumed` is false, everybody has been announced anew, with new peer ids. */
  reconnected: [info: { resumed: boolean }];
  /** Over, with the one reason why. */
  disconnected: [reason: ClientError];
  /** Who speaks, loudest first, whenever that changes; oneself included. */
  'active-speakers': [speakers: readonly ActiveSpeaker[]];
  /** Every two seconds while something is received. */
  quality: [quality: ReceptionQuality];
  data: [message: { data: unknown; from: RemoteParticipant | undefined; fromPeerId: string; direct: boolean }];
  /** Somebody opened a data channel, or had one open when we came. */
  channel: [received: ReceivedChannel];
  /** The server refused a single request, or the media looks for another path (`media_failed`); the call goes on. */
  warning: [error: { code: string; message: string }];
  /** Once a second while somebody listens. */
  stats: [stats: RoomStats];
}
