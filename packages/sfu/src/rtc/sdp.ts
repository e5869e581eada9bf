import { PeerError } from '@orama/core';
import { CHANNEL_MESSAGE_MAX_BYTES } from '@orama/protocol';
import { parse, type SdpCandidate, type SdpMedia, type SdpSession, write } from 'sdp-transform';
import type { IceCredential } from './stun-message.ts';

/** A line costs some microseconds to read, whatever it says; the descriptions of a large room have a few thousand. */
const MAX_LINES = 10_000;
const MAX_SECTIONS = 1_024;
const MAX_CANDIDATES = 64;
const MAX_SSRCS = 64;
const MAX_CODECS = 128;
const MAX_EXTENSIONS = 64;
const UINT32_MAX = 0xffffffff;
const LF = 10;
const CR = 13;

/** One checked m-section of a peer's description. */
export interface RemoteSection {
  mid: string;
  kind: 'audio' | 'video' | 'application';
  /** Port 0 without bundle-only (RFC 9429 section 5.3.1): the m-line is off for good. */
  rejected: boolean;
  sends: boolean;
  receives: boolean;
  media: SdpMedia;
}

export interface RemoteDescription {
  session: SdpSession;
  sections: RemoteSection[];
  /** `a=extmap-allow-mixed` (RFC 8285 section 6). */
  allowsMixed: boolean;
}

/**
 * Parses and checks a peer's offer or answer.
 * @throws PeerError when it is not one bundle of audio, video and data with ICE and DTLS, or is absurdly large
 */
export function readDescription(sdp: string): RemoteDescription {
  if (!sdp.startsWith('v=0')) throw invalid('it does not begin with v=0');
  if (lineCount(sdp) > MAX_LINES) throw invalid(`it has more than ${MAX_LINES} lines`);
  const session = parse(sdp);
  if (session.media.length === 0) throw invalid('it has no m-line');
  if (session.media.length > MAX_SECTIONS) throw invalid(`it has more than ${MAX_SECTIONS} m-lines`);
  const mids = new Set<string>();
  const sections = session.media.map((parsed): RemoteSection => {
    const media = withTypes(parsed);
    const mid = String(media.mid ?? '');
    if (mid.length === 0 || mid.length > 32 || mids.has(mid))
      throw invalid('every m-line needs a mid of its own, 1-32 characters');
    mids.add(mid);
    const kind = media.type;
    if (kind !== 'audio' && kind !== 'video' && kind !== 'application')
      throw invalid('only audio, video and application m-lines are known');
    if (
      (media.candidates?.length ?? 0) > MAX_CANDIDATES ||
      (media.ssrcs?.length ?? 0) > MAX_SSRCS * 4 ||
      media.rtp.length > MAX_CODECS ||
      (media.ext?.length ?? 0) > MAX_EXTENSIONS
    )
      throw invalid('an m-line has too many attributes');
    const rejected = media.port === 0 && media.bundleOnly === undefined;
    const direction = media.direction ?? 'sendrecv';
    return {
      mid,
      kind,
      rejected,
      sends: !rejected && (direction === 'sendrecv' || direction === 'sendonly'),
      receives: !rejected && (direction === 'sendrecv' || direction === 'recvonly'),
      media,
    };
  });
  const allowsMixed = [session, ...session.media].some(({ extmapAllowMixed }) => extmapAllowMixed !== undefined);
  return { session, sections, allowsMixed };
}

/** How many lines a description has, which is what reading it costs. To its reader a CR or an LF alone ends one as well. */
export function lineCount(sdp: string): number {
  let count = 1;
  for (let at = 0; at < sdp.length; at++) {
    const character = sdp.charCodeAt(at);
    if (character === LF || (character === CR && sdp.charCodeAt(at + 1) !== LF)) count++;
  }
  return count;
}

/** The ICE credential of a description, one for its whole bundle; null when it has none. */
export function readIce(description: string | RemoteDescription): IceCredential | null {
  const session = typeof description === 'string' ? parse(description) : description.session;
  const holder = [...session.media, session].find(
    ({ iceUfrag, icePwd }) => iceUfrag !== undefined && icePwd !== undefined,
  );
  return holder ? { ufrag: String(holder.iceUfrag), password: String(holder.icePwd) } : null;
}

/** The candidates that a description of libdatachannel holds. */
export function readCandidates(sdp: string): SdpCandidate[] {
  return parse(sdp).media.flatMap(({ candidates }) => (candidates ?? []).map(candidateWithTypes));
}

/** The m-line that carries all media of a connection as libdatachannel knows it. */
export const CARRIER_MID = 'media';

/**
 * The description for libdatachannel: transport, one m-line for all media (see Bundle), the peer's data channels, and no
 * candidates (see Negotiation).
 * @param ice the peer's credential as libdatachannel knows it, which refuses any other later; null the first time
 * @param withData whether the peer's data m-line is told
 */
export function writeForNative(remote: RemoteDescription, ice: IceCredential | null = null, withData = true): string {
  const { session, sections } = remote;
  const holder = sections.find(({ rejected, media }) => !rejected && media.fingerprint)?.media ?? sections[0]?.media;
  const credential = ice ?? readIce(remote);
  const fingerprint = fingerprintOf(remote);
  const setup = holder?.setup ?? session.setup;
  const transport = {
    connection: { version: 4, ip: '0.0.0.0' },
    ...(credential ? { iceUfrag: credential.ufrag, icePwd: credential.password } : {}),
    ...(fingerprint ? { fingerprint } : {}),
    ...(setup === undefined ? {} : { setup }),
  };
  const media: SdpMedia[] = [
    {
      ...transport,
      type: 'video',
      port: 9,
      protocol: 'UDP/TLS/RTP/SAVPF',
      mid: CARRIER_MID,
      payloads: '96',
      direction: 'sendrecv',
      rtp: [{ payload: 96, codec: 'VP8', rate: 90_000 }],
      fmtp: [],
      rtcpMux: 'rtcp-mux',
    },
  ];
  const data = withData ? dataSectionOf(remote) : undefined;
  if (data)
    media.push({
      ...transport,
      type: 'application',
      port: 9,
      protocol: data.media.protocol,
      mid: data.mid,
      payloads: data.media.payloads ?? 'webrtc-datachannel',
      rtp: [],
      fmtp: [],
      ...pick(data.media, ['sctpPort', 'maxMessageSize']),
    });
  return write({
    version: 0,
    origin: { username: '-', sessionId: 1, sessionVersion: 1, netType: 'IN', ipVer: 4, address: '127.0.0.1' },
    name: '-',
    timing: { start: 0, stop: 0 },
    groups: [{ type: 'BUNDLE', mids: media.map(({ mid }) => mid).join(' ') }],
    ...pick(session, ['iceOptions']),
    media,
  });
}

/** The m-line of a peer's data channels; undefined without, or where it is off. */
export function dataSectionOf({ sections }: RemoteDescription): RemoteSection | undefined {
  return sections.find(({ kind, rejected }) => kind === 'application' && !rejected);
}

/** The DTLS certificate that a description promises. */
export function fingerprintOf({ session, sections }: RemoteDescription): SdpMedia['fingerprint'] {
  return (
    sections.find(({ rejected, media }) => !rejected && media.fingerprint)?.media.fingerprint ?? session.fingerprint
  );
}

/** What to write for one m-section of ours: media lines with a direction, or null to refuse it (port 0). */
export type LocalSection = (Partial<SdpMedia> & { direction: NonNullable<SdpMedia['direction']> }) | null;

/** What a data m-line says besides its transport (RFC 8841): libdatachannel's port, and what it is told to take. */
const DATA_SECTION = {
  payloads: 'webrtc-datachannel',
  rtp: [],
  fmtp: [],
  sctpPort: 5000,
  maxMessageSize: CHANNEL_MESSAGE_MAX_BYTES,
};

/** One m-line of a description for the peer. */
export interface LocalLine {
  mid: string;
  type: string;
  protocol: string;
  /** Undefined for data channels. */
  section: LocalSection | undefined;
}

/** What a description for the peer says of ICE besides or instead of what libdatachannel does. */
export interface LocalIce {
  /** Ours since the last ICE restart, which libdatachannel knows nothing of; null before the first. */
  credential: IceCredential | null;
  /** The StunFront's: one more, or after a restart the only one. */
  candidate: SdpCandidate;
}

/**
 * Our description for the peer, without `a=end-of-candidates` (see RtcConnection.setRemote): ICE, DTLS and candidates
 * from libdatachannel's, everything about m-lines from ours.
 * @param setup our DTLS role
 * @param ice what else there is to say of ICE
 * @param lines in their order
 * @param allowsMixed the peer takes header extensions of both forms (RFC 8285 section 6)
 */
export function writeForPeer(
  nativeSdp: string,
  setup: 'active' | 'passive',
  ice: LocalIce,
  lines: readonly LocalLine[],
  allowsMixed: boolean,
): string {
  const session = parse(nativeSdp);
  const carrier = session.media.find(({ mid }) => String(mid) === CARRIER_MID);
  if (!carrier) throw new Error('libdatachannel lost its m-line of media');
  const { candidates, ...transport } = {
    ...pick(carrier, ['connection', 'iceUfrag', 'icePwd', 'fingerprint', 'candidates']),
    ...withIce(carrier, ice),
    setup,
  };
  const bundled: string[] = [];
  session.media = lines.map(({ mid, type, protocol, section }): SdpMedia => {
    if (section === null) return refusedSection(mid, type, protocol);
    bundled.push(mid);
    // One transport for all: its candidates stand with the first.
    const shared = { ...transport, ...(candidates && bundled.length === 1 ? { candidates } : {}) };
    const line = { ...shared, type, port: carrier.port === 0 ? 9 : carrier.port, protocol, mid };
    if (section === undefined) return { ...line, ...DATA_SECTION };
    return {
      ...line,
      rtcpMux: 'rtcp-mux',
      rtp: [],
      fmtp: [],
      ...section,
    };
  });
  session.groups = [{ type: 'BUNDLE', mids: bundled.join(' ') }];
  if (allowsMixed) session.extmapAllowMixed = 'extmap-allow-mixed';
  return write(session);
}

function withIce({ candidates }: SdpMedia, { credential, candidate }: LocalIce): Partial<SdpMedia> {
  return {
    ...(credential ? { iceUfrag: credential.ufrag, icePwd: credential.password } : {}),
    ...(candidates ? { candidates: credential ? [candidate] : [...candidates, candidate] } : {}),
  };
}

// RFC 3264 section 6: a refused stream keeps at least one format.
function refusedSection(mid: string, type: string, protocol: string): SdpMedia {
  return {
    type,
    port: 0,
    protocol,
    payloads: type === 'application' ? 'webrtc-datachannel' : '0',
    connection: { version: 4, ip: '0.0.0.0' },
    mid,
    direction: 'inactive',
    rtp: [],
    fmtp: [],
  };
}

/** A candidate as it is trickled. */
export function candidateLine({ foundation, component, transport, priority, ip, port, type }: SdpCandidate): string {
  return `candidate:${foundation} ${component} ${transport} ${priority} ${ip} ${port} typ ${type}`;
}

/** Parses a trickled candidate line (RFC 8839 section 5.1, with or without `candidate:`). Null when malformed. */
export function parseCandidate(line: string): SdpCandidate | null {
  const text = line.startsWith('candidate:') ? line : `candidate:${line}`;
  if (/[\r\n]/.test(text)) return null;
  const candidate = parse(`v=0\r\nm=audio 9 RTP/AVP 0\r\na=${text}\r\n`).media[0]?.candidates?.[0];
  return candidate ? candidateWithTypes(candidate) : null;
}

// sdp-transform makes a number of whatever looks like one, also of a codec's name, and leaves numbers that are too
// large as text. From here on every field is what its type says; attributes that cannot be are left out.
function withTypes(media: SdpMedia): SdpMedia {
  return {
    ...media,
    rtp: media.rtp
      .filter(({ payload }) => isUint(payload, 127))
      .map(({ payload, codec, rate, encoding }) => ({
        payload,
        codec: String(codec),
        ...(isUint(rate, UINT32_MAX) ? { rate } : {}),
        ...(encoding === undefined ? {} : { encoding }),
      })),
    fmtp: media.fmtp.map(({ payload, config }) => ({ payload, config: String(config) })),
    rtcpFb: (media.rtcpFb ?? []).map(({ payload, type, subtype }) => ({
      payload,
      type: String(type),
      ...(subtype === undefined ? {} : { subtype: String(subtype) }),
    })),
    ext: (media.ext ?? [])
      .filter(({ value }) => isUint(value, 255))
      .map(({ value, uri }) => ({ value, uri: String(uri) })),
    ssrcs: (media.ssrcs ?? [])
      .filter(({ id }) => isUint(id, UINT32_MAX))
      .map((ssrc) => ({ ...ssrc, attribute: String(ssrc.attribute) })),
    candidates: (media.candidates ?? []).map(candidateWithTypes),
  };
}

function candidateWithTypes(candidate: SdpCandidate): SdpCandidate {
  const { transport, ip, type, port } = candidate;
  return { ...candidate, transport: String(transport), ip: String(ip), type: String(type), port: Number(port) };
}

function isUint(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  const picked = {} as Pick<T, K>;
  for (const key of keys) if (from[key] !== undefined) picked[key] = from[key];
  return picked;
}

function invalid(why: string): PeerError {
  return new PeerError('INVALID_REQUEST', `the session description cannot be used: ${why}`);
}
