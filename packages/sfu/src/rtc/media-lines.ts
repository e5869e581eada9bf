import { randomInt } from 'node:crypto';
import { PeerError } from '@orama/core';
import type { SdpMedia } from 'sdp-transform';
import type { StreamEnd } from '../media/timeline.ts';
import { type Codec, PayloadTypes, payloadTypeInside, readCodecs } from './codecs.ts';
import { dataSectionOf, type LocalSection, type RemoteDescription, type RemoteSection } from './sdp.ts';
import {
  acceptedExtensions,
  choiceSection,
  type DownlinkMedia,
  downlinkSection,
  type Extension,
  readUplink,
  translatedIds,
  type UplinkMedia,
  uplinkSection,
} from './sections.ts';
import type { RtcTrack } from './track.ts';

/** M-lines a peer may bring, used or not. */
const MAX_UPLINK_SECTIONS = 64;

/** Names the stream of m-lines whose tracks come and go without negotiation. */
const PLAYED_STREAM = 'orama';

/** The data m-line where we are who offers it. */
export const DATA_MID = 's-data';

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

/** An m-line of the peer's own that is ours to send on. */
export interface AcceptedDownlink {
  mid: string;
  kind: 'audio' | 'video';
}

interface UplinkChange {
  mid: string;
  media: UplinkMedia;
}

/** What an offer of the peer changed. */
export interface UplinkOutcome {
  added: UplinkChange[];
  changed: UplinkChange[];
  removed: string[];
  /** Mids whose media was not accepted: over the limit, or nothing that can be forwarded. */
  refused: string[];
}

interface UplinkLine {
  way: 'up';
  /** Null while the peer does not send on it. */
  media: UplinkMedia | null;
  /** What was agreed last; a pause keeps it. */
  agreed: UplinkMedia | null;
  refused: boolean;
}

interface Stream {
  ssrc: number;
  /** Where the next track goes on counting, because SRTP counts by SSRC (RFC 3711 section 3.3.1). */
  firstSequence: number;
}
interface Source extends Stream {
  after: StreamEnd | null;
  /** For retransmissions; used where they are negotiated. */
  rtx: Stream;
}

interface DownlinkLine {
  way: 'down';
  kind: 'audio' | 'video';
  /**
   * The line's own two SSRCs, used in turn. With the SSRC it carried before, Chromium would decode a new track and show
   * nothing; and one that was never named before would cost libdatachannel memory, for good.
   */
  sources: [Source, Source];
  /** What the line should carry; null while free. */
  wanted: DownlinkMedia | null;
  spec: DownlinkSpec | null;
  /** What the peer agreed to receive. */
  agreed: DownlinkMedia | null;
  /** What was wanted last, for the codec of an idle m-line. */
  last: DownlinkMedia | null;
  /** What the peer said to retransmissions, and whether it asks for them. */
  takesRtx: boolean;
  takesNack: boolean;
  /** The peer paused it. */
  paused: boolean;
  /** The peer stopped the m-line: it can never be used again. */
  dead: boolean;
  /** On an m-line of the peer's own (see acceptDownlinks), all that was agreed there; empty on ours. */
  choices: DownlinkMedia[];
  /** The header extensions that were agreed, under the peer's ids. */
  extensions: Extension[];
}

type Line = UplinkLine | DownlinkLine | { way: 'data'; off: boolean };

/** What each uplink m-line of an offer becomes. */
export type UplinkPlan = ReadonlyMap<string, UplinkLine>;

/** The m-lines of one connection and what was agreed for each: the peer's own (uplink) and ours, `s0`, `s1`, ... (downlink). */
export class MediaLines {
  readonly #lines = new Map<string, Line>();
  readonly #payloadTypes = new PayloadTypes();
  readonly #maxUplinks: number;
  readonly #trackOf: (mid: string) => RtcTrack | undefined;
  readonly #isDecodable: (codec: Codec) => boolean;
  #nextMid = 0;

  /**
   * @param maxUplinks tracks the peer may send at once
   * @param trackOf the track of an m-line
   * @param isDecodable whether everybody who receives what the peer sends decodes a codec: such are preferred
   */
  constructor(
    maxUplinks: number,
    trackOf: (mid: string) => RtcTrack | undefined,
    isDecodable: (codec: Codec) => boolean,
  ) {
    this.#maxUplinks = maxUplinks;
    this.#trackOf = trackOf;
    this.#isDecodable = isDecodable;
  }

  /**
   * What an offer would make of the peer's own m-lines, without changing anything yet.
   * @throws PeerError when it uses names of ours or brings too many m-lines
   */
  plan(remote: RemoteDescription): UplinkPlan {
    const plan = new Map<string, UplinkLine>();
    let own = 0;
    let accepted = 0;
    for (const section of remote.sections) {
      const before = this.#lines.get(section.mid);
      if (before?.way === 'down' || (before?.way === 'data' && section.mid === DATA_MID)) continue;
      if (isOurMid(section.mid))
        throw new PeerError('INVALID_REQUEST', `the mid ${section.mid} is one of the server's own names`);
      if (++own > MAX_UPLINK_SECTIONS)
        throw new PeerError('INVALID_REQUEST', `the offer has more than ${MAX_UPLINK_SECTIONS} m-lines of its own`);
      if (section.kind === 'application' || before?.way === 'data') continue;
      const media = section.rejected ? null : readUplink(section.media);
      const sends = section.sends && media !== null && accepted < this.#maxUplinks;
      if (sends) accepted++;
      plan.set(section.mid, {
        way: 'up',
        media: sends ? this.#preferred(media) : null,
        agreed: media ?? before?.agreed ?? null,
        refused: section.rejected || media === null,
      });
    }
    return plan;
  }

  /**
   * Makes the m-lines on which the peer wants to receive ours to send on, under every codec that both know. For a peer
   * that is never sent an offer: what comes on them later needs no negotiation.
   * @returns the new ones
   */
  acceptDownlinks(remote: RemoteDescription): AcceptedDownlink[] {
    const accepted: AcceptedDownlink[] = [];
    for (const { mid, kind, receives, sends, media } of remote.sections.slice(0, MAX_UPLINK_SECTIONS)) {
      if (kind === 'application' || this.#lines.has(mid) || !receives || (sends && this.#maxUplinks > 0)) continue;
      const line = newDownlink(kind);
      const { ssrc, rtx } = line.sources[0];
      line.takesRtx = true;
      line.choices = readCodecs(media).map((codec) => ({
        ...{ kind, codec, payloadType: codec.payloadType, insidePayloadType: payloadTypeInside(codec), ssrc },
        rtx: codec.rtxPayloadType === undefined ? null : { payloadType: codec.rtxPayloadType, ssrc: rtx.ssrc },
        ...{ cname: PLAYED_STREAM, streamId: PLAYED_STREAM, trackId: mid },
      }));
      const [first] = line.choices;
      if (!first) continue;
      line.last = first;
      line.extensions = acceptedExtensions(media, choiceSection(line.choices));
      this.#lines.set(mid, line);
      accepted.push({ mid, kind });
    }
    return accepted;
  }

  /** Puts a track on a free m-line that the peer brought for such; null when there is none. */
  placeDownlink(spec: DownlinkSpec): DownlinkPlace | null {
    for (const [mid, line] of this.#lines) {
      if (line.way !== 'down' || line.dead || line.spec) continue;
      if (!line.choices.some(({ codec }) => codec.key === spec.codec.key)) continue;
      line.spec = spec;
      this.#choose(mid, line, spec.codec);
      return placeOf(mid, line);
    }
    return null;
  }

  /** Takes over the plan of an offer that was accepted. */
  apply(remote: RemoteDescription, plan: UplinkPlan, takesData: boolean): UplinkOutcome {
    const outcome: UplinkOutcome = { added: [], changed: [], removed: [], refused: [] };
    const data = dataSectionOf(remote);
    for (const section of remote.sections) {
      const { mid } = section;
      this.#payloadTypes.learn(section.media, !isOurMid(mid));
      // One association a connection (RFC 8841 section 5).
      if (section.kind === 'application') this.#lines.set(mid, { way: 'data', off: section !== data || !takesData });
      this.#followPeer(section);
      const line = plan.get(mid);
      if (!line) continue;
      const before = this.#lines.get(mid);
      const sentBefore = before?.way === 'up' ? before.media : null;
      this.#lines.set(mid, line);
      const isSame = line.media !== null && sentBefore !== null && hasLayersOf(sentBefore, line.media);
      if (sentBefore && !isSame) outcome.removed.push(mid);
      if (line.media) (isSame ? outcome.changed : outcome.added).push({ mid, media: line.media });
      if (section.sends && !line.media) outcome.refused.push(mid);
    }
    // An m-line slot may be given to a new mid (RFC 9429 section 5.3.1): the old one is gone then.
    for (const [mid, line] of this.#lines) {
      if (line.way !== 'up' || plan.has(mid)) continue;
      if (line.media) outcome.removed.push(mid);
      this.#lines.delete(mid);
    }
    return outcome;
  }

  /**
   * Puts a track for the peer on a free m-line or a new one; offer afterwards.
   * @returns the m-line, its SSRC and the sequence number to begin with
   */
  addDownlink(spec: DownlinkSpec): DownlinkPlace {
    const [mid, line] = this.#freeDownlink(spec.kind) ?? this.#newDownlink(spec.kind);
    line.sources.reverse();
    const place = placeOf(mid, line);
    const { kind, codec, cname, streamId, trackId } = spec;
    line.spec = spec;
    line.wanted = { kind, ...this.#numbered(codec, line), ssrc: place.ssrc, cname, streamId, trackId };
    line.last = line.wanted;
    return place;
  }

  /** The publisher sends another codec now; offer afterwards. */
  changeCodec(mid: string, codec: Codec): void {
    const line = this.#lines.get(mid);
    if (line?.way !== 'down' || !line.spec) return;
    if (line.choices.length > 0) {
      this.#choose(mid, line, codec);
      return;
    }
    if (!line.wanted) return;
    line.wanted = { ...line.wanted, ...this.#numbered(codec, line) };
    line.last = line.wanted;
  }

  /**
   * Frees the m-line for another track; offer afterwards.
   * @param nextSequence the first sequence number that was not sent
   * @param nextRtxSequence the same for its retransmissions, where any were sent
   * @param end the newest packet; null when none was sent
   */
  removeDownlink(mid: string, nextSequence: number, nextRtxSequence?: number, end: StreamEnd | null = null): void {
    const line = this.#lines.get(mid);
    if (line?.way !== 'down') return;
    line.spec = line.wanted = null;
    if (line.choices.length > 0) line.agreed = null;
    const [source] = line.sources;
    source.firstSequence = nextSequence;
    source.after = end ?? source.after;
    source.rtx.firstSequence = nextRtxSequence ?? source.rtx.firstSequence;
  }

  /** The SSRCs that an m-line of ours may send with. */
  ssrcs(mid: string): number[] {
    const line = this.#lines.get(mid);
    return line?.way === 'down' ? line.sources.flatMap(({ ssrc, rtx }) => [ssrc, rtx.ssrc]) : [];
  }

  /** Whether the peer decodes a codec, as far as it told. */
  decodes(codec: Codec): boolean {
    return this.#payloadTypes.decodes(codec);
  }

  /** Our m-lines. */
  downlinks(): { mid: string; kind: 'audio' | 'video' }[] {
    return [...this.#lines].flatMap(([mid, line]) => (line.way === 'down' ? [{ mid, kind: line.kind }] : []));
  }

  /** What an offer made now says about each of our m-lines. */
  wanted(): Map<string, DownlinkMedia | null> {
    const wanted = new Map<string, DownlinkMedia | null>();
    for (const [mid, line] of this.#lines) if (line.way === 'down' && !line.dead) wanted.set(mid, line.wanted);
    return wanted;
  }

  /** The peer's answer for one m-line, to an offer that said `offered`. */
  conclude(section: RemoteSection, offered: DownlinkMedia | null): void {
    if (section.kind === 'application') this.#lines.set(section.mid, { way: 'data', off: section.rejected });
    const line = this.#lines.get(section.mid);
    if (line?.way !== 'down') return;
    this.#learnDecoder(section, offered);
    if (section.rejected) {
      // RFC 3264 section 6: an m-line without a common codec is refused.
      this.#kill(line, refusalOf(offered, line.wanted));
      return;
    }
    line.agreed = offered;
    if (!offered || line.wanted !== offered) return;
    const accepts = (wanted: number | undefined) => section.media.rtp.some(({ payload }) => payload === wanted);
    line.takesRtx = accepts(offered.rtx?.payloadType);
    line.takesNack = readCodecs(section.media).some(
      ({ payloadType, feedback }) => payloadType === offered.payloadType && feedback.includes('nack'),
    );
    line.extensions = acceptedExtensions(section.media, downlinkSection(offered));
    const isDecoded = accepts(offered.payloadType);
    line.paused = !section.receives || !isDecoded;
    if (line.paused) line.spec?.onStopped(isDecoded ? 'paused' : 'unsupported-codec');
    else this.#start(section.mid, line, offered);
  }

  /**
   * Our half of an m-line; null refuses it, undefined leaves it to libdatachannel.
   * @param offered the peer's half when this is an answer: only what the peer agreed to before, and never more than it offers
   */
  section(mid: string, offered?: RemoteSection): LocalSection | undefined {
    const line = this.#lines.get(mid);
    if (!line) return mid === DATA_MID ? undefined : null;
    if (line.way === 'data') return line.off ? null : undefined;
    if (line.way === 'up') {
      if (line.refused || !line.agreed) return null;
      return { ...uplinkSection(this.#preferred(line.agreed)), direction: line.media ? 'recvonly' : 'inactive' };
    }
    if (offered && !offered.rejected && line.choices.length > 0) {
      const ours = { ...choiceSection(line.choices), ext: line.extensions };
      const section = withinOffer(ours, offered.media);
      return { ...section, direction: offered.receives ? 'sendonly' : 'inactive' };
    }
    const media = offered ? line.agreed : line.wanted;
    if (line.dead || offered?.rejected || !line.last) return null;
    if (!media) return { ...idleSection(line.last), direction: 'inactive' };
    if (!offered) return { ...downlinkSection(media), direction: 'sendonly' };
    const sends = line.wanted === media && offered.receives;
    const agreed = { ...downlinkSection(media), ext: line.extensions };
    return { ...withinOffer(agreed, offered.media), direction: sends ? 'sendonly' : 'inactive' };
  }

  // RFC 3264 section 6: an m-line without a common codec is refused.
  #learnDecoder({ rejected, media }: RemoteSection, offered: DownlinkMedia | null): void {
    this.#payloadTypes.learn(media, false);
    const isTaken = !rejected && media.rtp.some(({ payload }) => payload === offered?.payloadType);
    if (offered && !isTaken) this.#payloadTypes.refuse(offered.codec);
  }

  // In an offer of its own the peer may stop or pause what it receives, or end a pause.
  #followPeer(section: RemoteSection): void {
    const line = this.#lines.get(section.mid);
    if (line?.way !== 'down' || line.dead) return;
    if (section.rejected) {
      this.#kill(line, 'paused');
      return;
    }
    if (!line.agreed || line.wanted !== line.agreed) return;
    const extensions = acceptedExtensions(section.media, { ext: line.extensions });
    const hasFewer = extensions.length < line.extensions.length;
    line.extensions = extensions;
    if (line.paused === !section.receives && !hasFewer) return;
    line.paused = !section.receives;
    if (line.paused) line.spec?.onStopped('paused');
    else this.#start(section.mid, line, line.agreed);
  }

  // Browsers send the first codec that the other side lists.
  #preferred<T extends UplinkMedia | null>(media: T): T {
    if (!media) return media;
    const decoded = media.codecs.filter((codec) => this.#isDecodable(codec));
    return { ...media, codecs: [...decoded, ...media.codecs.filter((codec) => !decoded.includes(codec))] };
  }

  #start(mid: string, line: DownlinkLine, media: DownlinkMedia): void {
    const { spec } = line;
    const track = this.#trackOf(mid);
    track?.whenOpen(() => {
      if (line.spec !== spec || line.agreed !== media || line.paused) return;
      const ids = translatedIds(line.extensions);
      if (!track.extensionIds || Buffer.compare(track.extensionIds, ids) !== 0) track.extensionIds = ids;
      spec?.onReady(track, media.codec, {
        media: media.payloadType,
        inside: media.insidePayloadType,
        rtx: line.takesRtx ? media.rtx?.payloadType : undefined,
        nack: line.takesNack,
      });
    });
  }

  /** On an m-line of the peer's own goes what was agreed there for the codec; nothing, when it is none of the choices. */
  #choose(mid: string, line: DownlinkLine, codec: Codec): void {
    const choice = line.choices.find(({ codec: { key } }) => key === codec.key);
    const media = choice ? { ...choice, codec } : null;
    line.wanted = line.agreed = media;
    line.takesNack = choice?.codec.feedback.includes('nack') ?? false;
    if (!media) line.spec?.onStopped('unsupported-codec');
    // The m-line may be open already, and the caller does not know its place yet.
    else if (!line.paused) queueMicrotask(() => this.#start(mid, line, media));
  }

  #kill(line: DownlinkLine, why: StopReason): void {
    const { spec } = line;
    line.dead = true;
    line.spec = line.wanted = line.agreed = null;
    spec?.onStopped(why);
  }

  #numbered(
    codec: Codec,
    { kind, sources }: DownlinkLine,
  ): Pick<DownlinkMedia, 'codec' | 'payloadType' | 'insidePayloadType' | 'rtx'> {
    const payloadType = this.#payloadTypes.assign(codec);
    const rtxPayloadType = kind === 'video' ? this.#payloadTypes.assignRtx(payloadType) : null;
    const rtx = rtxPayloadType === null ? null : { payloadType: rtxPayloadType, ssrc: sources[0].rtx.ssrc };
    return { codec, payloadType, insidePayloadType: this.#payloadTypes.assignInside(codec), rtx };
  }

  #freeDownlink(kind: 'audio' | 'video'): [string, DownlinkLine] | undefined {
    for (const [mid, line] of this.#lines)
      if (line.way === 'down' && line.kind === kind && !line.dead && !line.wanted && !line.agreed) return [mid, line];
    return undefined;
  }

  #newDownlink(kind: 'audio' | 'video'): [string, DownlinkLine] {
    const mid = `s${this.#nextMid++}`;
    const line = newDownlink(kind);
    this.#lines.set(mid, line);
    return [mid, line];
  }
}

/** Whether an m-line's name is of the server's own kind. */
function isOurMid(mid: string): boolean {
  return /^s(?:\d+|-data)$/.test(mid);
}

/** Why a refused m-line carries nothing any more. @param wanted what an offer would say now */
function refusalOf(offered: DownlinkMedia | null, wanted: DownlinkMedia | null): StopReason {
  if (!offered) return 'paused';
  return wanted && wanted.codec.key !== offered.codec.key ? 'codec-changed' : 'unsupported-codec';
}

// A track is of a kind, and made of its layers: with others it is another track.
function hasLayersOf(one: UplinkMedia, other: UplinkMedia): boolean {
  const rids = ({ encodings }: UplinkMedia) =>
    encodings
      .map(({ rid = '' }) => rid)
      .sort()
      .join(';');
  return one.kind === other.kind && rids(one) === rids(other);
}

// An answer names only what was offered (RFC 3264 section 6.1, RFC 8285 section 6).
function withinOffer(section: Partial<SdpMedia>, offered: SdpMedia): Partial<SdpMedia> {
  const has = ({ payload }: { payload: number | string }) => offered.rtp.some((other) => other.payload === payload);
  const isOffered = (uri: string, value: number) => offered.ext?.some((ext) => ext.uri === uri && ext.value === value);
  const rtp = (section.rtp ?? []).filter(has);
  return {
    ...section,
    rtp,
    payloads: rtp.map(({ payload }) => payload).join(' '),
    fmtp: (section.fmtp ?? []).filter(has),
    rtcpFb: (section.rtcpFb ?? []).filter(has),
    ext: (section.ext ?? []).filter(({ uri, value }) => isOffered(uri, value)),
  };
}

// A free m-line still needs a codec to be well-formed: the one it carried last.
function idleSection(last: DownlinkMedia): Partial<SdpMedia> {
  const { msid: _msid, ssrcs: _ssrcs, ssrcGroups: _groups, ...section } = downlinkSection(last);
  return section;
}

function placeOf(mid: string, { kind, sources: [{ ssrc, firstSequence, after, rtx }] }: DownlinkLine): DownlinkPlace {
  return { mid, ssrc, firstSequence, after, ...(kind === 'video' ? { rtx: { ...rtx } } : {}) };
}

function newDownlink(kind: 'audio' | 'video'): DownlinkLine {
  const free = { wanted: null, spec: null, agreed: null, last: null, paused: false, dead: false };
  const told = { takesRtx: false, takesNack: false, choices: [], extensions: [] };
  return { way: 'down', kind, sources: [newSource(), newSource()], ...free, ...told };
}

function newSource(): Source {
  return { ...newStream(), after: null, rtx: newStream() };
}

function newStream(): Stream {
  // Small SSRCs are ours for feedback, zero means none. RFC 3711 section 3.3.1: with a first sequence number in the lower
  // half, no reordering at the start can look like a wrap.
  return { ssrc: randomInt(0x10000, 0x100000000), firstSequence: randomInt(0x8000) };
}
