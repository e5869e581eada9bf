/** How a track is published. */
export interface PublishOptions {
  /** What it shows: `camera`, `microphone`, `screen`, or any short word of the application's. */
  source?: string;
  /** Start muted. */
  muted?: boolean;
  /** Ceiling of the encoder, in bits per second. Default for video: 1.5 Mbit/s. */
  maxBitrateBps?: number;
  /** What gives way when the network or the CPU is too slow. Default: `balanced`, for screens `maintain-resolution`. */
  degradationPreference?: RTCDegradationPreference;
}

const DEFAULT_VIDEO_BITRATE_BPS = 1_500_000;

/** A track of ours in the room. Made by `room.publish()`. */
export class LocalTrack {
  readonly mediaStreamTrack: MediaStreamTrack;
  readonly kind: 'audio' | 'video';
  readonly source: string;
  readonly maxBitrateBps: number | undefined;
  readonly degradationPreference: RTCDegradationPreference;
  /** @internal the server's id of it, once it has announced the track */
  trackId: string | undefined;
  /** @internal use `room.mute()` and `room.unmute()` */
  muted: boolean;

  constructor(track: MediaStreamTrack, options: PublishOptions = {}) {
    this.mediaStreamTrack = track;
    this.kind = track.kind === 'audio' ? 'audio' : 'video';
    this.source = options.source ?? (this.kind === 'audio' ? 'microphone' : 'camera');
    this.muted = options.muted ?? false;
    this.maxBitrateBps = options.maxBitrateBps ?? (this.kind === 'video' ? DEFAULT_VIDEO_BITRATE_BPS : undefined);
    this.degradationPreference =
      options.degradationPreference ?? (this.source === 'screen' ? 'maintain-resolution' : 'balanced');
    track.enabled = !this.muted;
  }
}
