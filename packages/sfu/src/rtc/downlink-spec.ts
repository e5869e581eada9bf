import type { StreamEnd } from '../media/timeline.ts';
import type { Codec } from './codecs.ts';
import type { RtcTrack } from './track.ts';

/**
 * The peer stopped or paused the m-line, or cannot decode the codec. `codec-changed`: it refused the codec before, and the
 * m-line with it, when the publisher had gone over to another already; what that sends needs another m-line.
 */
export type StopReason = 'paused' | 'unsupported-codec' | 'codec-changed';

/** The peer's numbers for a track, and what it said to repeating lost packets. */
export interface DownlinkPayloadTypes {
  readonly media: number;
  /** Of the Opus inside RED; undefined for other codecs. */
  readonly inside?: number | undefined;
  /** Of retransmissions on the place's `rtx` SSRC; undefined where the peer takes none. */
  readonly rtx?: number | undefined;
  /** It asks for lost packets (RFC 4585 section 6.2.1). */
  readonly nack: boolean;
}

/** A track for the peer to receive. */
export interface DownlinkSpec {
  kind: 'audio' | 'video';
  codec: Codec;
  cname: string;
  streamId: string;
  trackId: string;
  /**
   * The peer accepted and packets can be sent. Called again when the codec changed or a pause ended.
   */
  onReady: (track: RtcTrack, codec: Codec, payloadTypes: DownlinkPayloadTypes) => void;
  /** Nothing may be sent. */
  onStopped: (why: StopReason) => void;
}

/** Where a track for the peer was put. */
export interface DownlinkPlace {
  mid: string;
  ssrc: number;
  firstSequence: number;
  /** Where the track before ended on the same SSRC; null for the first one. */
  after: StreamEnd | null;
  /** For retransmissions and probes (RFC 4588), where there is one. */
  rtx?: { ssrc: number; firstSequence: number };
}
