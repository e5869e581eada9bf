import type { SdpMedia } from 'sdp-transform';
import { EXTENSION, FORWARDED_EXTENSION_IDS } from '../rtp/extensions.ts';
import { type Codec, readCodecs } from './codecs.ts';

/** One RTP stream of an m-line on which the peer sends, as far as the descriptions tell. */
export interface UplinkEncoding {
  /** Name of the simulcast layer (RFC 8851); undefined where the m-line has one stream. */
  rid?: string | undefined;
  ssrc?: number | undefined;
  /** SSRC of its retransmissions (RFC 4588). */
  rtxSsrc?: number | undefined;
}

/** What was agreed for an m-line on which the peer sends. */
export interface UplinkMedia {
  kind: 'audio' | 'video';
  /** At least one; the first is what the peer will send unless it decides otherwise. */
  codecs: Codec[];
  /** Extensions we accept, under the peer's own ids. */
  extensions: { value: number; uri: string }[];
  /** At least one; simulcast layers from the smallest picture up. */
  encodings: UplinkEncoding[];
  /** By the peer's extension id: the id it is forwarded under, 0 to leave it out. */
  extensionIds: Uint8Array;
  /** Transport-wide feedback is agreed. */
  transportFeedback: boolean;
  nack: boolean;
  pli: boolean;
  /** REMB instead of transport-wide feedback. */
  remb: boolean;
}

/** A track on its way to the peer, as its m-section names it. */
export interface DownlinkMedia {
  kind: 'audio' | 'video';
  codec: Codec;
  payloadType: number;
  ssrc: number;
  cname: string;
  streamId: string;
  trackId: string;
}

const UPLINK_FEEDBACK = ['nack', 'nack pli', 'ccm fir', 'transport-cc', 'goog-remb'];
const DOWNLINK_FEEDBACK: readonly string[] = ['nack', 'nack pli', 'ccm fir', 'goog-remb'];

/**
 * Chromium begins at 300 kbit/s and then scales a 720p camera down to a quarter for half a minute, unless the answer
 * names another start. Others ignore the parameter.
 */
const START_BITRATE = 'x-google-start-bitrate=1500';

/** Reads what an offered m-section sends; null when nothing of it can be forwarded. */
export function readUplink(media: SdpMedia): UplinkMedia | null {
  const kind = media.type === 'audio' ? 'audio' : 'video';
  const codecs = readCodecs(media).map((codec) => ({
    ...codec,
    feedback: codec.feedback.filter((feedback) => UPLINK_FEEDBACK.includes(feedback)),
  }));
  const first = codecs[0];
  if (!first) return null;
  const forwarded = Object.entries(FORWARDED_EXTENSION_IDS);
  const wanted: string[] = [EXTENSION.mid, ...forwarded.map(([uri]) => uri)];
  const extensions = (media.ext ?? [])
    .filter(({ value, uri }) => {
      const reserved = forwarded.find(([, id]) => id === value);
      return value > 0 && value < 256 && wanted.includes(uri) && (!reserved || reserved[0] === uri);
    })
    .map(({ value, uri }) => ({ value, uri }));
  const extensionIds = new Uint8Array(256);
  for (const { value, uri } of extensions) extensionIds[value] = FORWARDED_EXTENSION_IDS[uri] ?? 0;
  const transportFeedback =
    first.feedback.includes('transport-cc') && extensions.some(({ uri }) => uri === EXTENSION.transportSequence);
  if (transportFeedback) {
    for (const codec of codecs) codec.feedback = codec.feedback.filter((feedback) => feedback !== 'goog-remb');
  } else {
    for (const codec of codecs) codec.feedback = codec.feedback.filter((feedback) => feedback !== 'transport-cc');
  }
  return {
    kind,
    codecs,
    extensions,
    encodings: [encodingOf(media)],
    extensionIds,
    transportFeedback,
    nack: first.feedback.includes('nack'),
    pli: first.feedback.includes('nack pli'),
    remb: !transportFeedback && first.feedback.includes('goog-remb'),
  };
}

// With a FID group (RFC 5576 section 4.2) the first SSRC is the stream itself, the second its retransmissions.
function encodingOf(media: SdpMedia): UplinkEncoding {
  const group = media.ssrcGroups?.find(({ semantics }) => semantics === 'FID');
  const [ssrc, rtxSsrc] = String(group?.ssrcs ?? '')
    .split(' ')
    .map(Number);
  if (ssrc !== undefined && ssrc > 0) return { ssrc, rtxSsrc };
  return { ssrc: media.ssrcs?.[0]?.id };
}

/** The media lines of our half of an uplink m-section; `null` for one that is refused for good. */
export function uplinkSection(media: UplinkMedia): Partial<SdpMedia> {
  const payloads: number[] = [];
  const section = {
    rtp: [] as SdpMedia['rtp'],
    fmtp: [] as SdpMedia['fmtp'],
    rtcpFb: [] as SdpMedia['rtcpFb'] & object,
  };
  for (const codec of media.codecs) {
    payloads.push(codec.payloadType);
    const fmtp = media.kind === 'video' ? [codec.fmtp, START_BITRATE].filter(Boolean).join(';') : codec.fmtp;
    addCodec(section, { ...codec, fmtp }, codec.payloadType, codec.feedback);
    if (codec.rtxPayloadType === undefined) continue;
    payloads.push(codec.rtxPayloadType);
    section.rtp.push({ payload: codec.rtxPayloadType, codec: 'rtx', rate: codec.clockRate });
    section.fmtp.push({ payload: codec.rtxPayloadType, config: `apt=${codec.payloadType}` });
  }
  return { ...section, payloads: payloads.join(' '), ext: media.extensions, rtcpRsize: 'rtcp-rsize' };
}

/** The media lines of a downlink m-section. */
export function downlinkSection(media: DownlinkMedia): Partial<SdpMedia> {
  const section = {
    rtp: [] as SdpMedia['rtp'],
    fmtp: [] as SdpMedia['fmtp'],
    rtcpFb: [] as SdpMedia['rtcpFb'] & object,
  };
  addCodec(section, media.codec, media.payloadType, media.kind === 'video' ? DOWNLINK_FEEDBACK : []);
  const uri = media.kind === 'audio' ? EXTENSION.audioLevel : EXTENSION.videoOrientation;
  return {
    ...section,
    payloads: String(media.payloadType),
    ext: [{ value: FORWARDED_EXTENSION_IDS[uri] as number, uri }],
    msid: [{ id: media.streamId, appdata: media.trackId }],
    ssrcs: [
      { id: media.ssrc, attribute: 'cname', value: media.cname },
      { id: media.ssrc, attribute: 'msid', value: `${media.streamId} ${media.trackId}` },
    ],
    rtcpRsize: 'rtcp-rsize',
  };
}

/** The media lines of a downlink m-section that carries whichever of several media comes. */
export function choiceSection(choices: readonly DownlinkMedia[]): Partial<SdpMedia> {
  const sections = choices.map(downlinkSection);
  return {
    ...sections[0],
    payloads: sections.map(({ payloads }) => payloads).join(' '),
    rtp: sections.flatMap(({ rtp = [] }) => rtp),
    fmtp: sections.flatMap(({ fmtp = [] }) => fmtp),
    rtcpFb: sections.flatMap(({ rtcpFb = [] }) => rtcpFb),
  };
}

function addCodec(
  section: Pick<SdpMedia, 'rtp' | 'fmtp'> & { rtcpFb: NonNullable<SdpMedia['rtcpFb']> },
  codec: Codec,
  payloadType: number,
  feedback: readonly string[],
): void {
  section.rtp.push({
    payload: payloadType,
    codec: codec.name,
    rate: codec.clockRate,
    ...(codec.channels > 1 ? { encoding: codec.channels } : {}),
  });
  if (codec.fmtp) section.fmtp.push({ payload: payloadType, config: codec.fmtp });
  for (const entry of feedback) {
    const [type = '', subtype] = entry.split(' ');
    section.rtcpFb.push({ payload: payloadType, type, ...(subtype ? { subtype } : {}) });
  }
}
