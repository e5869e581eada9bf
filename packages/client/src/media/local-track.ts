/** How a track is published. */
export interface PublishOptions {
  /** What it shows: `camera`, `microphone`, `screen`, or any short word of the application's. */
  source?: string;
  /** Start muted. */
  muted?: boolean;
  /** Ceiling of the encoder, in bits per second. Default for video: 1.5 Mbit/s. */
  maxBitrateBps?: number;
  /**
   * Several sizes at once, of which the server sends each receiver the one that fits. Default: cameras, by their size
   * (three from 960x540 on, two from 480x270 on).
   */
  simulcast?: boolean;
  /**
   * Codec to prefer, as in `RTCRtpSender.getCapabilities()`: `VP8`, `VP9`, `H264`, `AV1`. Default: the browser's choice.
   * VP9 and AV1 are sent in layers of one stream (SVC) in place of simulcast, where the browser can. Audio: `RED` sends
   * every packet of Opus with the one before (RFC 2198), which survives single losses.
   */
  codec?: string;
  /** Audio: send next to nothing in silence (Opus DTX, RFC 6716 section 2.1.9). Default: false. */
  dtx?: boolean;
  /** What gives way when the network or the CPU is too slow. Default: `balanced`, for screens `maintain-resolution`. */
  degradationPreference?: RTCDegradationPreference;
}

const DEFAULT_VIDEO_BITRATE_BPS = 1_500_000;
/** Codecs with spatial layers inside one stream, and how: each layer depends on the ones below in key frames only. */
const SCALABLE_CODECS = ['VP9', 'AV1'];
const SCALABILITY_MODE = 'L3T3_KEY';

/** A track of ours in the room. Made by `room.publish()`. */
export class LocalTrack {
  readonly mediaStreamTrack: MediaStreamTrack;
  readonly kind: 'audio' | 'video';
  readonly source: string;
  readonly maxBitrateBps: number | undefined;
  readonly degradationPreference: RTCDegradationPreference;
  readonly simulcast: boolean;
  /** As asked for, in capitals. */
  readonly codec: string | undefined;
  readonly dtx: boolean;
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
    this.codec = options.codec?.toUpperCase();
    this.dtx = this.kind === 'audio' && (options.dtx ?? false);
    this.simulcast = this.kind === 'video' && (options.simulcast ?? this.source === 'camera');
    track.enabled = !this.muted;
  }

  /** The mode of layers inside one stream (W3C webrtc-svc) that fits codec and wish; undefined for none. */
  get scalabilityMode(): string | undefined {
    return this.simulcast && SCALABLE_CODECS.includes(this.codec ?? '') ? SCALABILITY_MODE : undefined;
  }
}
