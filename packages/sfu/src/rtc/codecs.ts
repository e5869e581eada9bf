import type { SdpMedia } from 'sdp-transform';

/** A codec as one side of an m-line names it. */
export interface Codec {
  /** As in `a=rtpmap`, for example `VP8`. */
  name: string;
  clockRate: number;
  /** 1 for video. */
  channels: number;
  payloadType: number;
  /** `a=fmtp` parameters, '' without. */
  fmtp: string;
  /** Payload type of its retransmissions (RFC 4588), where negotiated. */
  rtxPayloadType: number | undefined;
  /** `a=rtcp-fb` values such as `nack pli`. */
  feedback: readonly string[];
  /** Equal for codecs that one decoder configuration plays. */
  key: string;
}

/** A codec that is forwarded. */
interface Forwarded {
  kind: 'audio' | 'video';
  clockRate: number;
  channels: number;
  /** Which parameters tell two configurations of it apart, with their defaults. */
  parameters: Readonly<Record<string, string>>;
}
const audio: Forwarded = { kind: 'audio', clockRate: 48_000, channels: 2, parameters: {} };
const video: Forwarded = { kind: 'video', clockRate: 90_000, channels: 1, parameters: {} };

/** What is forwarded: others are offered it as its publisher wrote it, so only as its RFC says that it is written. */
const FORWARDED: Readonly<Record<string, Forwarded>> = {
  // RFC 7587 section 7.
  opus: audio,
  // Opus with what went before (RFC 2198), for those who ask for it.
  red: audio,
  vp8: video,
  vp9: { ...video, parameters: { 'profile-id': '0' } },
  // RFC 6184 section 8.1.
  h264: { ...video, parameters: { 'packetization-mode': '0', 'profile-level-id': '42000a' } },
  // RFC 7798 section 7.1; levels are for the decoder to judge.
  h265: { ...video, parameters: { 'profile-id': '1', 'tier-flag': '0', 'tx-mode': 'srst' } },
  av1: { ...video, parameters: { profile: '0', tier: '0' } },
};
/** `a=fmtp` as it is forwarded: ASCII, or Firefox refuses the whole description, and as long as an encoder's parameter sets. */
const FMTP = /^[\x20-\x7e]{0,1024}$/;

/**
 * What of `profile-level-id` is the profile (RFC 6184 section 8.1, table 5): profile_idc, then the bits of profile-iop that
 * tell, as mask and value. The level is not compared: a decoder takes what its hardware takes.
 */
const H264_PROFILES: readonly [idc: number, mask: number, value: number, name: string][] = [
  [0x42, 0x4f, 0x40, 'constrained-baseline'],
  [0x4d, 0x8f, 0x80, 'constrained-baseline'],
  [0x58, 0xcf, 0xc0, 'constrained-baseline'],
  [0x42, 0x4f, 0x00, 'baseline'],
  [0x58, 0xcf, 0x80, 'baseline'],
  [0x4d, 0xaf, 0x00, 'main'],
  [0x64, 0xff, 0x00, 'high'],
  [0x64, 0xff, 0x0c, 'constrained-high'],
  [0xf4, 0xff, 0x00, 'high-444'],
];

/** What RED repeats. */
export const OPUS: Omit<Codec, 'payloadType'> = {
  ...{ name: 'opus', clockRate: 48_000, channels: 2, fmtp: 'minptime=10;useinbandfec=1' },
  ...{ rtxPayloadType: undefined, feedback: [], key: keyOf('opus', 48_000, 2, '') },
};

/** The codecs of an m-section that can be forwarded, in the section's order. */
export function readCodecs(media: SdpMedia): Codec[] {
  const retransmissions = new Map<number, number>();
  for (const { payload, codec } of media.rtp) {
    if (codec.toLowerCase() !== 'rtx') continue;
    const repeated = Number(parametersOf(fmtpOf(media, payload)).get('apt'));
    if (Number.isInteger(repeated)) retransmissions.set(repeated, payload);
  }
  return media.rtp
    .filter((line) => isForwarded(media, line))
    .filter(({ codec, payload }) => codec.toLowerCase() !== 'red' || repeatsOpus(media, payload))
    .map(({ codec, payload }) => {
      const fmtp = fmtpOf(media, payload);
      const { clockRate, channels } = FORWARDED[codec.toLowerCase()] as Forwarded;
      return {
        name: codec,
        clockRate,
        channels,
        payloadType: payload,
        fmtp,
        rtxPayloadType: retransmissions.get(payload),
        feedback: feedbackOf(media, payload),
        key: keyOf(codec, clockRate, channels, fmtp),
      };
    });
}

/**
 * Whether subscribers are offered the dependency descriptor: a decoder of AV1 finds in it which frames it needs. Of others
 * the payload tells, and goes on telling over switches.
 */
export function describesDependencies({ name }: Pick<Codec, 'name'>): boolean {
  return name.toLowerCase() === 'av1';
}

function isForwarded(media: SdpMedia, { codec, payload, rate, encoding = 1 }: SdpMedia['rtp'][number]): boolean {
  const known = FORWARDED[codec.toLowerCase()];
  const isAsWritten = known?.kind === media.type && known.clockRate === rate && known.channels === Number(encoding);
  return isAsWritten && FMTP.test(fmtpOf(media, payload));
}

/** Payload type of the Opus inside RED (RFC 2198), which stands in every packet; undefined for other codecs. */
export function payloadTypeInside({ name, fmtp }: Pick<Codec, 'name' | 'fmtp'>): number | undefined {
  return name.toLowerCase() === 'red' ? Number(fmtp.split('/')[0]) : undefined;
}

function repeatsOpus(media: SdpMedia, payloadType: number): boolean {
  const inside = payloadTypeInside({ name: 'red', fmtp: fmtpOf(media, payloadType) });
  return media.rtp.some(({ payload, codec }) => payload === inside && codec.toLowerCase() === 'opus');
}

/** Configurations of codecs that are remembered of one peer; a browser names some thirty. */
const MAX_NAMED = 512;

/** Payload types that have no meaning of their own (RFC 3551 section 6, RFC 5761 section 4). */
const DYNAMIC = [...range(96, 127), ...range(35, 63)];

/** Payload types of one PeerConnection: in a bundle, one number means one thing (RFC 9143 section 9.1). */
export class PayloadTypes {
  readonly #keys = new Map<number, string>();
  readonly #numbers = new Map<string, number>();
  /** Keys of codecs that the peer itself named. */
  readonly #named = new Set<string>();
  readonly #refused = new Set<string>();
  /** Kinds of media for which the peer listed all its codecs. */
  readonly #listed = new Set<string>();

  /**
   * Notes every payload type of a remote m-section, also of codecs that are not forwarded.
   * @param isList whether the peer listed what it has, and did not choose from what we offered
   */
  learn(media: SdpMedia, isList: boolean): void {
    if (isList) this.#listed.add(media.type);
    for (const { payload, codec, rate, encoding } of media.rtp) {
      const key = keyOf(codec, rate ?? 90_000, Number(encoding ?? 1) || 1, fmtpOf(media, payload));
      if (this.#named.size < MAX_NAMED) this.#named.add(key);
      this.#set(payload, key);
    }
  }

  /** The peer did not take the codec when it was offered; of one that it named itself that says nothing. */
  refuse({ key }: Codec): void {
    if (!this.#named.has(key) && this.#refused.size < MAX_NAMED) this.#refused.add(key);
  }

  /** Whether the peer decodes the codec, as far as it told: true where nothing speaks against it. */
  decodes({ key, name }: Codec): boolean {
    const kind = FORWARDED[name.toLowerCase()]?.kind ?? '';
    return !this.#refused.has(key) && (this.#named.has(key) || !this.#listed.has(kind));
  }

  /**
   * The number to offer `codec` under: the peer's own, else the publisher's, else a free dynamic one; null when all are
   * taken. The peer would refuse every description that gives one of them a second meaning.
   */
  assign(codec: Codec): number | null {
    const known = this.#numbers.get(codec.key);
    if (known !== undefined) return known;
    const assigned = this.#free([codec.payloadType, ...DYNAMIC]);
    if (assigned === null) this.refuse(codec);
    else this.#set(assigned, codec.key);
    return assigned;
  }

  /** The number of the Opus inside RED, which the publisher's names; undefined for other codecs, null when all are taken. */
  assignInside(codec: Codec): number | null | undefined {
    const payloadType = payloadTypeInside(codec);
    return payloadType === undefined ? undefined : this.assign({ ...OPUS, payloadType });
  }

  /** The number to offer retransmissions (RFC 4588) of `payloadType` under; null when all are taken. */
  assignRtx(payloadType: number): number | null {
    const key = keyOf('rtx', 90_000, 1, `apt=${payloadType}`);
    const assigned = this.#numbers.get(key) ?? this.#free(DYNAMIC);
    if (assigned !== null) this.#set(assigned, key);
    return assigned;
  }

  #free(candidates: readonly number[]): number | null {
    return candidates.find((payloadType) => !this.#keys.has(payloadType)) ?? null;
  }

  #set(payloadType: number, key: string): void {
    this.#keys.set(payloadType, key);
    if (!this.#numbers.has(key) && this.#numbers.size < MAX_NAMED) this.#numbers.set(key, payloadType);
  }
}

function keyOf(name: string, clockRate: number, channels: number, fmtp: string): string {
  const lower = name.toLowerCase();
  const wanted = FORWARDED[lower]?.parameters;
  // A codec that is not forwarded is only told apart from others: its whole parameter string will do.
  if (!wanted) return `${lower}/${clockRate}/${channels};${fmtp}`;
  const parameters = parametersOf(fmtp);
  const text = Object.entries(wanted)
    .map(([name, byDefault]) => [name, parameters.get(name) ?? byDefault])
    .map(([name, value = '']) => `${name}=${name === 'profile-level-id' ? h264Profile(value) : value}`)
    .join(';');
  return `${lower}/${clockRate}/${channels};${text}`;
}

function h264Profile(levelId: string): string {
  const bits = Number.parseInt(levelId, 16);
  const idc = bits >> 16;
  const iop = (bits >> 8) & 0xff;
  const profile = H264_PROFILES.find(([wanted, mask, value]) => wanted === idc && (iop & mask) === value);
  return profile?.[3] ?? levelId;
}

function fmtpOf(media: SdpMedia, payloadType: number): string {
  return String(media.fmtp.find(({ payload }) => payload === payloadType)?.config ?? '');
}

function parametersOf(fmtp: string): Map<string, string> {
  return new Map(
    fmtp
      .split(';')
      .map((part) => part.trim().split('='))
      .map(([name = '', value = '']) => [name.toLowerCase(), value.toLowerCase()]),
  );
}

function feedbackOf(media: SdpMedia, payloadType: number): string[] {
  return (media.rtcpFb ?? [])
    .filter(({ payload }) => payload === payloadType || payload === '*')
    .map(({ type, subtype }) => (subtype ? `${type} ${subtype}` : type));
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
