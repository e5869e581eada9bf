import { PeerError } from '@orama/core';
import type { StreamEnd } from '../media/timeline.ts';
import { type Codec, PayloadTypes } from './codecs.ts';
import { DownlinkLine } from './downlink-line.ts';
import type { DownlinkPlace, DownlinkSpec } from './downlink-spec.ts';
import { dataSectionOf, type LocalSection, type RemoteDescription, type RemoteSection } from './sdp.ts';
import { type DownlinkMedia, readUplink, type UplinkMedia, uplinkSection } from './sections.ts';
import type { RtcTrack } from './track.ts';

/** M-lines a peer may bring, used or not. */
const MAX_UPLINK_SECTIONS = 64;

/** The data m-line where we are who offers it. */
export const DATA_MID = 's-data';

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

type Line = UplinkLine | DownlinkLine | { way: 'data'; off: boolean };

/** What each uplink m-line of an offer becomes. */
export type UplinkPlan = ReadonlyMap<string, UplinkLine>;

/** The m-lines of one connection and what was agreed for each: the peer's own (uplink) and ours, `s0`, `s1`, ... (downlink). */
export class MediaLines {
  readonly #lines = new Map<string, Line>();
  readonly #payloadTypes = new PayloadTypes();
  readonly #trackOf: (mid: string) => RtcTrack | undefined;
  readonly #maxUplinks: number;
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
      if (section.kind === 'application') continue;
      const media = section.rejected ? null : readUplink(section.media);
      const sends = section.sends && media !== null && accepted < this.#maxUplinks;
      if (sends) accepted++;
      plan.set(section.mid, {
        way: 'up',
        media: sends ? this.#preferred(media) : null,
        agreed: media ?? (before?.way === 'up' ? before.agreed : null),
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
      const line = this.#newDownlink(mid, kind);
      if (!line.bring(media)) continue;
      this.#lines.set(mid, line);
      accepted.push({ mid, kind });
    }
    return accepted;
  }

  /** Puts a track on a free m-line that the peer brought for such; null when there is none. */
  placeDownlink(spec: DownlinkSpec): DownlinkPlace | null {
    for (const line of this.#lines.values()) {
      const place = line.way === 'down' ? line.place(spec) : null;
      if (place) return place;
    }
    return null;
  }

  /** Takes over the plan of an offer that was accepted. */
  apply(remote: RemoteDescription, plan: UplinkPlan, takesData: boolean): UplinkOutcome {
    const outcome: UplinkOutcome = { added: [], changed: [], removed: [], refused: [] };
    const dataSection = dataSectionOf(remote);
    for (const section of remote.sections) {
      const { mid } = section;
      this.#payloadTypes.learn(section.media, !isOurMid(mid));
      const before = this.#lines.get(mid);
      if (before?.way === 'down') {
        before.followPeer(section);
        continue;
      }
      // One association a connection (RFC 8841 section 5).
      const data: Line = { way: 'data', off: section !== dataSection || !takesData };
      const line = section.kind === 'application' ? data : plan.get(mid);
      if (!line) continue;
      this.#lines.set(mid, line);
      const sentBefore = before?.way === 'up' ? before.media : null;
      const media = line.way === 'up' ? line.media : null;
      const isSame = media !== null && sentBefore !== null && hasLayersOf(sentBefore, media);
      if (sentBefore && !isSame) outcome.removed.push(mid);
      if (media) (isSame ? outcome.changed : outcome.added).push({ mid, media });
      if (line.way === 'up' && section.sends && !media) outcome.refused.push(mid);
    }
    // An m-line slot may be given to a new mid (RFC 9429 section 5.3.1): the old one is gone then.
    const described = new Set(remote.sections.map(({ mid }) => mid));
    for (const [mid, line] of this.#lines) {
      if (line.way === 'down' || described.has(mid)) continue;
      if (line.way === 'up' && line.media) outcome.removed.push(mid);
      this.#lines.delete(mid);
    }
    return outcome;
  }

  /**
   * Puts a track for the peer on a free m-line or a new one; offer afterwards.
   * @returns the m-line, its SSRC and the sequence number to begin with
   */
  addDownlink(spec: DownlinkSpec): DownlinkPlace {
    const line = this.#freeDownlink(spec.kind) ?? this.#newDownlink(`s${this.#nextMid++}`, spec.kind);
    this.#lines.set(line.mid, line);
    return line.carry(spec);
  }

  /** The publisher sends another codec now; offer afterwards. */
  changeCodec(mid: string, codec: Codec): void {
    const line = this.#lines.get(mid);
    if (line?.way === 'down') line.changeCodec(codec);
  }

  /**
   * Frees the m-line for another track; offer afterwards.
   * @param nextSequence the first sequence number that was not sent
   * @param nextRtxSequence the same for its retransmissions, where any were sent
   * @param end the newest packet; null when none was sent
   */
  removeDownlink(mid: string, nextSequence: number, nextRtxSequence?: number, end: StreamEnd | null = null): void {
    const line = this.#lines.get(mid);
    if (line?.way === 'down') line.free(nextSequence, nextRtxSequence, end);
  }

  /** The SSRCs that an m-line of ours may send with. */
  ssrcs(mid: string): number[] {
    const line = this.#lines.get(mid);
    return line?.way === 'down' ? line.ssrcs : [];
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
    for (const [mid, line] of this.#lines) if (line.way === 'down' && !line.isDead) wanted.set(mid, line.wanted);
    return wanted;
  }

  /** The peer's answer for one m-line, to an offer that said `offered`. */
  conclude(section: RemoteSection, offered: DownlinkMedia | null): void {
    if (section.kind === 'application') this.#lines.set(section.mid, { way: 'data', off: section.rejected });
    const line = this.#lines.get(section.mid);
    if (line?.way !== 'down') return;
    this.#learnDecoder(section, offered);
    line.conclude(section, offered);
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
    return line.section(offered);
  }

  // RFC 3264 section 6: an m-line without a common codec is refused.
  #learnDecoder({ rejected, media }: RemoteSection, offered: DownlinkMedia | null): void {
    this.#payloadTypes.learn(media, false);
    const isTaken = !rejected && media.rtp.some(({ payload }) => payload === offered?.payloadType);
    if (offered && !isTaken) this.#payloadTypes.refuse(offered.codec);
  }

  // Browsers send the first codec that the other side lists.
  #preferred<T extends UplinkMedia | null>(media: T): T {
    if (!media) return media;
    const decoded = media.codecs.filter((codec) => this.#isDecodable(codec));
    return { ...media, codecs: [...decoded, ...media.codecs.filter((codec) => !decoded.includes(codec))] };
  }

  #freeDownlink(kind: 'audio' | 'video'): DownlinkLine | undefined {
    for (const line of this.#lines.values()) if (line.way === 'down' && line.kind === kind && line.isFree) return line;
    return undefined;
  }

  #newDownlink(mid: string, kind: 'audio' | 'video'): DownlinkLine {
    return new DownlinkLine(mid, kind, { payloadTypes: this.#payloadTypes, trackOf: this.#trackOf });
  }
}

/** Whether an m-line's name is of the server's own kind. */
function isOurMid(mid: string): boolean {
  return /^s(?:\d+|-data)$/.test(mid);
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
