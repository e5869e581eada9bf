// The guarded surface of node-datachannel, for peers that are not browsers (tests, synthetic publishers).
export { type ChannelInit, type ChannelMessage, RtcChannel } from './channel.ts';
export {
  type Connect,
  RtcConnection,
  type RtcConnectionOptions,
  type RtcEvents,
  type RtcState,
  type SendTrackOptions,
} from './connection.ts';
export { NativeTrack } from './native-track.ts';
