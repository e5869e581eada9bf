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

/** What is forwarded, and which parameters tell two configurations of it apart. */
const FORWARDED: Readonly<Record<string, { kind: 'audio' | 'video'; parameters: readonly string[] }>> = {
  opus: { kind: 'audio', parameters: [] },
  vp8: { kind: 'video', parameters: [] },
  vp9: { kind: 'video', parameters: ['profile-id'] },
  h264: { kind: 'video', parameters: ['packetization-mode', 'profile-level-id'] },
  av1: { kind: 'video', parameters: ['profile'] },
};

const DEFAULTS: Readonly<Record<string, string>> = { 'profile-id': '0', 'packetization-mode': '0', profile: '0' };

/** The codecs of an m-section that can be forwarded, in the section's order. */
export function readCodecs(media: SdpMedia): Codec[] {
  const retransmissions = new Map<number, number>();
  for (const { payload, codec } of media.rtp) {
    if (codec.toLowerCase() !== 'rtx') continue;
    const repeated = Number(parametersOf(fmtpOf(media, payload)).get('apt'));
    if (Number.isInteger(repeated)) retransmissions.set(repeated, payload);
  }
  return media.rtp
    .filter(
      ({ codec, payload }) => FORWARDED[codec.toLowerCase()]?.kind === media.type && payload >= 0 && payload < 128,
    )
    .map(({ codec, payload, rate, encoding }) => {
      const fmtp = fmtpOf(media, payload);
      const clockRate = rate ?? 90_000;
      const channels = Number(encoding ?? 1) || 1;
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

/** Payload types of one PeerConnection: in a bundle, one number means one thing (RFC 9143 section 9.1). */
export class PayloadTypes {
  readonly #keys = new Map<number, string>();
  readonly #numbers = new Map<string, number>();

  /** Notes every payload type of a remote m-section, also of codecs that are not forwarded. */
  learn(media: SdpMedia): void {
    for (const { payload, codec, rate, encoding } of media.rtp)
      this.#set(payload, keyOf(codec, rate ?? 90_000, Number(encoding ?? 1) || 1, fmtpOf(media, payload)));
  }

  /** The number to offer `codec` under: the peer's own, else the publisher's, else a free dynamic one (RFC 3551 section 6). */
  assign(codec: Codec): number {
    const known = this.#numbers.get(codec.key);
    if (known !== undefined) return known;
    const candidates = [codec.payloadType, ...range(96, 127), ...range(35, 63)];
    const free = candidates.find((payloadType) => !this.#keys.has(payloadType)) ?? codec.payloadType;
    this.#set(free, codec.key);
    return free;
  }

  #set(payloadType: number, key: string): void {
    this.#keys.set(payloadType, key);
    if (!this.#numbers.has(key)) this.#numbers.set(key, payloadType);
  }
}

function keyOf(name: string, clockRate: number, channels: number, fmtp: string): string {
  const lower = name.toLowerCase();
  const wanted = FORWARDED[lower]?.parameters;
  // A codec that is not forwarded is only told apart from others: its whole parameter string will do.
  if (!wanted) return `${lower}/${clockRate}/${channels};${fmtp}`;
  const parameters = parametersOf(fmtp);
  const text = wanted.map((name) => `${name}=${parameters.get(name) ?? DEFAULTS[name] ?? ''}`).join(';');
  return `${lower}/${clockRate}/${channels};${text}`;
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
