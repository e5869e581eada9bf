// Browser SDK: join a room, publish and receive tracks, come back by itself when something breaks.
export type { Clock, Timer } from './clock.ts';
export { ClientError, type ClientErrorCode } from './errors.ts';
export { LocalTrack, type PublishOptions } from './media/local-track.ts';
export type { InboundStats, OutboundLayerStats, OutboundStats, PairStats, RoomStats } from './media/stats.ts';
export type { ChannelOptions, ReceivedChannel } from './room/channels.ts';
export { connect } from './room/connect.ts';
export type { ConnectOptions, Credential, Platform } from './room/options.ts';
export type {
  ActiveSpeaker,
  ReceivedTrack,
  ReceptionQuality,
  RemoteParticipant,
  RemoteTrack,
  TrackQuality,
} from './room/participants.ts';
export { DEFAULT_RECONNECT_POLICY, type ReconnectPolicy } from './room/reconnect-policy.ts';
export { Room } from './room/room.ts';
export type { QualityLimit, RoomEvents, RoomState, SubscriptionOptions } from './room/room-events.ts';
