import {
  CHANNEL_MESSAGE_MAX_BYTES,
  MAX_CHANNELS_PER_PEER,
  MAX_TRACKS_PER_PEER,
  type Participant,
  type ServerFrameOf,
  type SfuTicket,
  SIGNALLING_DESCRIPTION_MAX_BYTES,
  SIGNALLING_FRAME_MAX_BYTES,
} from '@orama/protocol';
import type { Peer } from './peer.ts';

export interface Welcome {
  peer: Peer;
  room: string;
  /** What the room's owner chose for it. */
  settings: Pick<SfuTicket, 'maxParticipants' | 'roomMetadata'>;
  /** Everybody else who is in it. */
  others: Participant[];
  /** The peer was there before, and its socket is another. */
  resumed: boolean;
  forceRelay: boolean;
}

/** The first frame to a peer: where it is, with whom, what it may do and how much of it. */
export function welcomeFrame({ peer, room, settings, others, resumed, forceRelay }: Welcome): ServerFrameOf<'welcome'> {
  const { publish, subscribe, data } = peer.ticket.permissions;
  const { maxParticipants, roomMetadata } = settings;
  return {
    type: 'welcome',
    peerId: peer.id,
    room,
    participants: others,
    resumeToken: peer.resumeToken,
    resumed,
    ...(roomMetadata === undefined ? {} : { roomMetadata }),
    permissions: { publish, subscribe, data },
    limits: {
      maxParticipants,
      maxTracks: MAX_TRACKS_PER_PEER,
      frameBytes: SIGNALLING_FRAME_MAX_BYTES,
      descriptionBytes: SIGNALLING_DESCRIPTION_MAX_BYTES,
      maxChannels: MAX_CHANNELS_PER_PEER,
      channelMessageBytes: CHANNEL_MESSAGE_MAX_BYTES,
    },
    forceRelay,
  };
}
