import type { InboundStats, OutboundStats, PairStats, Room, RoomState } from '@orama/client';

/** What is received of one participant. */
interface ParticipantStats {
  peerId: string;
  name: string;
  /** Their camera; undefined while none arrives. */
  video:
    | {
        width: number;
        height: number;
        framesDecoded: number;
        framesPerSecond: number;
        bitrateBps: number;
        packetsLost: number;
        freezeCount: number;
      }
    | undefined;
  audio: { totalAudioEnergy: number; bitrateBps: number; packetsLost: number } | undefined;
  /** Every track of theirs, screens included. */
  tracks: InboundStats[];
}

/** What `window.orama.stats()` resolves to: plain JSON, read by the demo's check and by tests. */
export interface PageStats {
  state: RoomState;
  room: string;
  peerId: string;
  participants: ParticipantStats[];
  /** The selected candidate pair; undefined until media is connected. */
  pair: PairStats | undefined;
  outbound: { video: OutboundStats | undefined; audio: OutboundStats | undefined };
  timings: {
    /** From the call of `connect()` to the first decoded frame of somebody else; undefined until then. */
    joinToFirstFrameMs: number | undefined;
  };
}

/** Reads the room's statistics by participant. */
export async function readPageStats(room: Room, joinToFirstFrameMs: number | undefined): Promise<PageStats> {
  const { pair, inbound, outbound } = await room.stats();
  const participants = [...room.participants.values()].map(({ peerId, name, tracks }): ParticipantStats => {
    const own = inbound.filter((stream) => stream.peerId === peerId);
    const video = own.find(({ kind, trackId }) => kind === 'video' && tracks.get(trackId)?.source !== 'screen');
    const audio = own.find(({ kind }) => kind === 'audio');
    return {
      peerId,
      name: name ?? '',
      video: video && {
        width: video.width ?? 0,
        height: video.height ?? 0,
        framesDecoded: video.framesDecoded,
        framesPerSecond: video.framesPerSecond ?? 0,
        bitrateBps: video.bitrateBps,
        packetsLost: video.packetsLost,
        freezeCount: video.freezeCount,
      },
      audio: audio && {
        totalAudioEnergy: audio.totalAudioEnergy,
        bitrateBps: audio.bitrateBps,
        packetsLost: audio.packetsLost,
      },
      tracks: own,
    };
  });
  return {
    state: room.state,
    room: room.roomId,
    peerId: room.peerId,
    participants,
    pair,
    outbound: {
      video: outbound.find(({ kind, source }) => kind === 'video' && source !== 'screen'),
      audio: outbound.find(({ kind }) => kind === 'audio'),
    },
    timings: { joinToFirstFrameMs },
  };
}
