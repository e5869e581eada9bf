import type { SdpMedia } from 'sdp-transform';
import { EXTENSION, FORWARDED_EXTENSION_IDS } from '../rtp/extensions.ts';
import { type Codec, describesDependencies, OPUS, readCodecs } from './codecs.ts';
import { readSimulcast, type Simulcast, simulcastSection } from './simulcast.ts';

/** One RTP stream of an m-line on which the peer sends, as far as the descriptions tell. */
export interface UplinkEncoding {
  /** Name of the simulcast layer (RFC 8851); undefined where the m-line has one stream. */
  rid?: string | undefined;
  ssrc?: number | undefined;
  /** SSRC of its retransmissions (RFC 4588). */
  rtxSsrc?: number | undefined;
}

export interface Extension {
  value: number;
  uri: string;
}

/** What was agreed for an m-line on which the peer sends. */
export interface UplinkMedia {
  kind: 'audio' | 'video';
  /** At least one; the first is what the peer will send unless it decides otherwise. */
  codecs: Codec[];
  /** Extensions we accept, under the peer's own ids. */
  extensions: Extension[];
  /** At least one; simulcast layers from the smallest picture up. */
  encodings: UplinkEncoding[];
  /** What the answer says of the layers; empty where rids do not name them. */
  rids: Simulcast['rids'];
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
  /** Of the Opus inside RED; undefined for other codecs. */
  insidePayloadType?: number | undefined;
  ssrc: number;
  /** Its retransmissions (RFC 4588); null where there are none. */
  rtx: { payloadType: number; ssrc: number } | null;
  cname: string;
  streamId: string;
  trackId: string;
}

const UPLINK_FEEDBACK = ['nack', 'nack pli', 'ccm fir', 'transport-cc', 'goog-remb'];
const DOWNLINK_FEEDBACK = {
  audio: ['nack', 'transport-cc'],
  video: ['nack', 'nack pli', 'ccm fir', 'goog-remb', 'transport-cc'],
};
const DOWNLINK_EXTENSIONS = {
  audio: [EXTENSION.audioLevel, EXTENSION.sendTime, EXTENSION.transportSequence],
  video: [EXTENSION.sendTime, EXTENSION.transportSequence, EXTENSION.playoutDelay, EXTENSION.videoOrientation],
};

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
  const { encodings, rids } = readSimulcast(
    media,
    codecs.map(({ payloadType }) => payloadType),
  );
  const forwarded = Object.entries(FORWARDED_EXTENSION_IDS);
  const names = rids.length > 0 ? [EXTENSION.mid, EXTENSION.rid, EXTENSION.repairedRid] : [EXTENSION.mid];
  const wanted: string[] = [...names, ...forwarded.map(([uri]) => uri)];
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
    encodings,
    rids,
    extensionIds,
    transportFeedback,
    nack: first.feedback.includes('nack'),
    pli: first.feedback.includes('nack pli'),
    remb: !transportFeedback && first.feedback.includes('goog-remb'),
  };
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
    addRtx(section, codec.rtxPayloadType, codec.payloadType, codec.clockRate);
  }
  return {
    ...section,
    payloads: payloads.join(' '),
    ext: media.extensions,
    rtcpRsize: 'rtcp-rsize',
    ...simulcastSection(media.rids),
  };
}

/** The media lines of a downlink m-section. */
export function downlinkSection(media: DownlinkMedia): Partial<SdpMedia> {
  const section = {
    rtp: [] as SdpMedia['rtp'],
    fmtp: [] as SdpMedia['fmtp'],
    rtcpFb: [] as SdpMedia['rtcpFb'] & object,
  };
  const { kind, codec, payloadType, insidePayloadType: inside, ssrc, rtx } = media;
  const fmtp = inside === undefined ? codec.fmtp : codec.fmtp.replaceAll(/\d+/g, String(inside));
  addCodec(section, { ...codec, fmtp }, payloadType, DOWNLINK_FEEDBACK[kind]);
  if (inside !== undefined) addCodec(section, OPUS, inside, DOWNLINK_FEEDBACK[kind]);
  if (rtx) addRtx(section, rtx.payloadType, payloadType, codec.clockRate);
  const dependencies = describesDependencies(codec) ? [EXTENSION.dependencyDescriptor] : [];
  const uris = [...DOWNLINK_EXTENSIONS[kind], ...dependencies];
  return {
    ...section,
    payloads: section.rtp.map(({ payload }) => payload).join(' '),
    ext: uris.map((uri) => ({ value: FORWARDED_EXTENSION_IDS[uri] as number, uri })),
    msid: [{ id: media.streamId, appdata: media.trackId }],
    ssrcs: [ssrc, ...(rtx ? [rtx.ssrc] : [])].flatMap((id) => [
      { id, attribute: 'cname', value: media.cname },
      { id, attribute: 'msid', value: `${media.streamId} ${media.trackId}` },
    ]),
    ...(rtx ? { ssrcGroups: [{ semantics: 'FID', ssrcs: `${ssrc} ${rtx.ssrc}` }] } : {}),
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

/**
 * What of our extensions the peer takes, as its half of the m-line says, under its own ids. Those of two-byte headers
 * (RFC 8285 section 4.3) are left out: packets of publishers with one-byte headers have no room for them.
 */
export function acceptedExtensions({ ext: theirs = [] }: SdpMedia, { ext: ours = [] }: Partial<SdpMedia>): Extension[] {
  return theirs
    .filter(({ value, uri }) => value > 0 && value < 15 && ours.some((other) => other.uri === uri))
    .map(({ value, uri }) => ({ value, uri }));
}

/** See `RtcTrack.extensionIds`. @param accepted what was agreed for the m-line, under the peer's ids */
export function translatedIds(accepted: readonly Extension[]): Uint8Array {
  const ids = new Uint8Array(256);
  for (const { value, uri } of accepted) {
    const id = FORWARDED_EXTENSION_IDS[uri];
    if (id !== undefined) ids[id] = value;
  }
  return ids;
}

type CodecLines = Pick<SdpMedia, 'rtp' | 'fmtp'> & { rtcpFb: NonNullable<SdpMedia['rtcpFb']> };

function addRtx(section: CodecLines, payloadType: number, repeated: number, clockRate: number): void {
  section.rtp.push({ payload: payloadType, codec: 'rtx', rate: clockRate });
  section.fmtp.push({ payload: payloadType, config: `apt=${repeated}` });
}

function addCodec(
  section: CodecLines,
  codec: Pick<Codec, 'name' | 'clockRate' | 'channels' | 'fmtp'>,
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
