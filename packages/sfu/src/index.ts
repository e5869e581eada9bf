// The map of the SFU.
//   signalling/  sockets, frames, limits, room commands      room/  rooms and peers
//   media/       publications, subscriptions, recovery       congestion/  feedback to publishers
//   rtc/         node-datachannel, ICE, descriptions         rtp/  RTP and RTCP bytes, pure
export { requireWireguardAddress } from './address.ts';
export { Sfu, type SfuOptions } from './sfu.ts';
