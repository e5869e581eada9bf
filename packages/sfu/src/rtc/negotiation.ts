import { randomBytes } from 'node:crypto';
import { type Clock, PeerError, type Timer } from '@orama/core';
import type { SdpCandidate, SdpMedia } from 'sdp-transform';
import { type Codec, PayloadTypes } from './codecs.ts';
import { RtcConnection, type RtcConnectionOptions, type RtcState } from './connection.ts';
import {
  type LocalSection,
  parseCandidate,
  type RemoteDescription,
  type RemoteSection,
  readDescription,
  writeForNative,
  writeForPeer,
} from './sdp.ts';
import { type DownlinkMedia, downlinkSection, readUplink, type UplinkMedia, uplinkSection } from './sections.ts';
import type { RtcTrack } from './track.ts';

/** How long our first offer waits for the client's, so that the two do not cross on every join. */
const FIRST_OFFER_WAIT_MS = 100;
/** The least time between two of our offers: what happens meanwhile goes into the next one. */
const OFFER_GAP_MS = 120;
/** An offer unanswered for so long is taken back and made anew. */
const ANSWER_TIMEOUT_MS = 10_000;
const MAX_RELAYS = 256;
/** M-lines a peer may bring, used or not. */
const MAX_UPLINK_SECTIONS = 64;

/** A track for the peer to receive. */
export interface DownlinkSpec {
  kind: 'audio' | 'video';
  codec: Codec;
  cname: string;
  streamId: string;
  trackId: string;
  /** The peer accepted and packets can be sent. Called again when the codec was changed. */
  onReady: (track: RtcTrack, codec: Codec, payloadType: number) => void;
  /** The peer refused the m-line or cannot decode the codec. */
  onRefused: () => void;
}

interface UplinkChange {
  mid: string;
  media: UplinkMedia;
}

/** What an offer of the peer changed. */
export interface OfferOutcome {
  answer: string;
  added: UplinkChange[];
  changed: UplinkChange[];
  removed: string[];
  /** Mids whose media was not accepted: over the limit, or nothing that can be forwarded. */
  refused: string[];
}

export interface NegotiationEvents {
  sendOffer: (sdp: string) => void;
  sendCandidate: (candidate: string, mid: string) => void;
  onUplinkTrack: (track: RtcTrack) => void;
  onState: (state: RtcState) => void;
  onFault: (thrown: unknown) => void;
}

export interface NegotiationOptions {
  connection: RtcConnectionOptions;
  clock: Clock;
  forceRelay: boolean;
  /** Tracks the peer may send at once; 0 when it may not publish. */
  maxUplinks: number;
}

interface UplinkLine {
  way: 'up';
  /** Null while the peer does not send on it. */
  media: UplinkMedia | null;
  /** What was agreed last; a pause keeps it. */
  agreed: UplinkMedia | null;
  refused: boolean;
}

interface DownlinkLine {
  way: 'down';
  kind: 'audio' | 'video';
  /** What the line should carry; null while free. */
  wanted: DownlinkMedia | null;
  spec: DownlinkSpec | null;
  /** What the peer agreed to receive. */
  agreed: DownlinkMedia | null;
  /** What was wanted last, for the codec of an idle m-line. */
  last: DownlinkMedia | null;
  /** The peer stopped the m-line: it can never be used again. */
  dead: boolean;
}

type Line = UplinkLine | DownlinkLine | { way: 'data' };

/**
 * Offers and answers of one peer, strictly one at a time. We are the polite side: an offer of the peer that crosses ours
 * makes us take ours back (libdatachannel rolls back by itself), answer, and offer again what is still wanted.
 *
 * libdatachannel gathers, encrypts and routes by SSRC; codecs, directions and extensions are kept here and written into
 * its descriptions, because it keeps those of the first offer.
 *
 * Set-up without stalls: we are always the DTLS client, and libdatachannel never learns the peer's candidates, so that
 * its checks only follow the peer's. The peer is connected first then, and ready for our ClientHello. The other way
 * round a libdatachannel peer drops the ClientHello, and OpenSSL repeats it after a whole second.
 */
export class Negotiation {
  readonly #options: NegotiationOptions;
  readonly #events: NegotiationEvents;
  readonly #connection: RtcConnection;
  readonly #lines = new Map<string, Line>();
  readonly #payloadTypes = new PayloadTypes();
  /** Relayed candidates of the peer, `address port`. */
  readonly #relays = new Set<string>();
  /** What our unanswered offer said about each downlink. */
  #pending: Map<string, DownlinkMedia | null> | null = null;
  /** Our DTLS role, also in later offers: with `actpass` Firefox would swap the roles before they are played. */
  #setup: 'active' | 'passive' = 'active';
  #offerWanted = false;
  #mayOfferAtMs: number;
  #offerTimer: Timer | null = null;
  #answerTimer: Timer | null = null;
  #remoteKnown = false;
  #nextMid = 0;
  #closed = false;

  constructor(options: NegotiationOptions, events: NegotiationEvents) {
    this.#options = options;
    this.#events = events;
    this.#mayOfferAtMs = options.clock.monotonic() + FIRST_OFFER_WAIT_MS;
    this.#connection = new RtcConnection(options.connection, {
      onState: events.onState,
      onTrack: (track) => {
        if (this.#lines.get(track.mid)?.way === 'up') events.onUplinkTrack(track);
      },
      onFault: events.onFault,
    });
  }

  get connection(): RtcConnection {
    return this.#connection;
  }

  /** True while an offer of ours is out. */
  get isOffering(): boolean {
    return this.#pending !== null;
  }

  uplinkTrack(mid: string): RtcTrack | undefined {
    return this.#connection.track(mid);
  }

  /**
   * Applies the peer's offer and makes the answer. An offer of ours that is out is taken back and made again later.
   * @throws PeerError when the offer cannot be used; nothing has changed then
   */
  handleOffer(sdp: string): OfferOutcome {
    const remote = readDescription(sdp);
    this.#checkLines(remote);
    const plan = this.#planUplinks(remote);
    const refused = new Set([...plan].filter(([, line]) => line.refused).map(([mid]) => mid));
    if (!this.#remoteKnown && remote.sections[0]?.media.setup === 'active') this.#setup = 'passive';
    this.#setRemote('offer', writeForNative(remote, refused));
    this.#noteCandidates(remote);
    if (this.#pending) this.#offerWanted = true;
    this.#endPending();
    const outcome = this.#applyUplinks(remote, plan);
    for (const section of remote.sections) this.#learnDownlinkState(section);
    const native = this.#connection.createLocal('answer');
    const answer = writeForPeer(native, this.#setup, (mid) => this.#section(mid, remote));
    this.#mayOfferAtMs = 0;
    this.#offerTimer?.cancel();
    this.#offerTimer = null;
    // Only after the caller has sent the answer: an offer that overtakes it meets the peer's own, and is ignored.
    if (this.#offerWanted) this.requestOffer();
    return { ...outcome, answer };
  }

  /** @throws PeerError when the answer does not fit an offer of ours */
  handleAnswer(sdp: string): void {
    const pending = this.#pending;
    if (!pending) throw new PeerError('CONFLICT', 'there is no offer to answer');
    const remote = readDescription(sdp);
    const answered = new Set(remote.sections.map(({ mid }) => mid));
    for (const mid of pending.keys()) {
      if (this.#connection.track(mid) && !answered.has(mid))
        throw new PeerError('CONFLICT', `the answer leaves out the m-line ${mid} of the offer`);
    }
    const isFirst = !this.#remoteKnown;
    this.#setRemote('answer', writeForNative(remote));
    this.#noteCandidates(remote);
    this.#endPending();
    if (isFirst)
      for (const { candidate, mid } of this.#connection.localCandidates()) this.#events.sendCandidate(candidate, mid);
    for (const section of remote.sections) this.#concludeDownlink(section, pending.get(section.mid));
    this.#scheduleOffer();
  }

  /**
   * Notes a trickled candidate; see `isRelayed`.
   * @returns false when it is of no use: not relayed while that is forced
   * @throws PeerError when it is malformed
   */
  handleCandidate(line: string): boolean {
    if (line === '') return true;
    const candidate = parseCandidate(line);
    if (!candidate) throw new PeerError('INVALID_REQUEST', 'the candidate is malformed');
    return this.#noteCandidate(candidate);
  }

  /**
   * Whether the pair in use ends at a relayed candidate that the peer told us; null before there is a pair.
   * Dropping other candidates is not enough where relaying is forced: ICE also learns addresses from incoming checks.
   */
  isRelayed(): boolean | null {
    const pair = this.#connection.selectedPair();
    return pair && this.#relays.has(endpoint(pair.remote.address, pair.remote.port));
  }

  /** Adds a track for the peer, on a free m-line or a new one, and offers it. */
  addDownlink(spec: DownlinkSpec): { mid: string; ssrc: number } {
    let mid = this.#freeDownlink(spec.kind);
    if (mid === undefined) {
      mid = `s${this.#nextMid++}`;
      this.#lines.set(mid, {
        way: 'down',
        kind: spec.kind,
        wanted: null,
        spec: null,
        agreed: null,
        last: null,
        dead: false,
      });
    }
    const line = this.#lines.get(mid) as DownlinkLine;
    line.spec = spec;
    line.wanted = {
      kind: spec.kind,
      codec: spec.codec,
      payloadType: this.#payloadTypes.assign(spec.codec),
      ssrc: newSsrc(),
      cname: spec.cname,
      streamId: spec.streamId,
      trackId: spec.trackId,
    };
    line.last = line.wanted;
    this.requestOffer();
    return { mid, ssrc: line.wanted.ssrc };
  }

  /** The publisher sends another codec now: offer that. */
  changeCodec(mid: string, codec: Codec): void {
    const line = this.#lines.get(mid);
    if (line?.way !== 'down' || !line.wanted) return;
    line.wanted = { ...line.wanted, codec, payloadType: this.#payloadTypes.assign(codec) };
    this.requestOffer();
  }

  /** Frees the m-line for another track. */
  removeDownlink(mid: string): void {
    const line = this.#lines.get(mid);
    if (line?.way !== 'down') return;
    line.spec = null;
    line.wanted = null;
    this.requestOffer();
  }

  /** Offers again, as soon as it may be. */
  requestOffer(): void {
    this.#offerWanted = true;
    // Everything that happens in this turn of the event loop goes into one offer.
    queueMicrotask(() => this.#scheduleOffer());
  }

  /** The peer may have missed our offer (its socket dropped): take it back and make it again. */
  repeatOffer(): void {
    if (!this.#pending) return;
    this.#takeBack();
    this.requestOffer();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#offerTimer?.cancel();
    this.#answerTimer?.cancel();
    this.#connection.close();
  }

  #freeDownlink(kind: 'audio' | 'video'): string | undefined {
    for (const [mid, line] of this.#lines)
      if (line.way === 'down' && line.kind === kind && !line.dead && !line.wanted && !line.agreed) return mid;
    return undefined;
  }

  #scheduleOffer(): void {
    if (this.#closed || !this.#offerWanted || this.#pending || this.#offerTimer) return;
    const waitMs = this.#mayOfferAtMs - this.#options.clock.monotonic();
    if (waitMs <= 0) {
      this.#offer();
      return;
    }
    this.#offerTimer = this.#options.clock.after(waitMs, () => {
      this.#offerTimer = null;
      this.#scheduleOffer();
    });
  }

  #offer(): void {
    this.#offerWanted = false;
    try {
      const pending = new Map<string, DownlinkMedia | null>();
      for (const [mid, line] of this.#lines) {
        if (line.way !== 'down' || line.dead) continue;
        pending.set(mid, line.wanted);
        if (line.wanted && line.wanted.ssrc !== line.agreed?.ssrc) this.#sendTrack(mid, line.wanted);
      }
      if (!this.#remoteKnown && ![...pending.values()].some((media) => media !== null)) return;
      const native = this.#connection.createLocal('offer');
      this.#pending = pending;
      this.#answerTimer = this.#options.clock.after(ANSWER_TIMEOUT_MS, () => this.repeatOffer());
      this.#mayOfferAtMs = this.#options.clock.monotonic() + OFFER_GAP_MS;
      this.#events.sendOffer(writeForPeer(native, this.#setup, (mid) => this.#section(mid)));
    } catch (thrown) {
      this.#events.onFault(thrown);
    }
  }

  #sendTrack(mid: string, media: DownlinkMedia): void {
    const { name, fmtp } = media.codec;
    this.#connection.sendTrack({ ...media, mid, codec: { name, payloadType: media.payloadType, fmtp } });
  }

  #takeBack(): void {
    this.#endPending();
    try {
      this.#connection.rollback();
    } catch (thrown) {
      this.#events.onFault(thrown);
    }
  }

  #endPending(): void {
    this.#pending = null;
    this.#answerTimer?.cancel();
    this.#answerTimer = null;
  }

  #setRemote(type: 'offer' | 'answer', sdp: string): void {
    try {
      this.#connection.setRemote(type, sdp);
    } catch (thrown) {
      throw new PeerError('INVALID_REQUEST', `the ${type} was refused by the media engine`, { cause: thrown });
    }
    this.#remoteKnown = true;
  }

  #noteCandidates(remote: RemoteDescription): void {
    for (const { media } of remote.sections)
      for (const candidate of media.candidates ?? []) this.#noteCandidate(candidate);
  }

  #noteCandidate({ type, ip, port }: SdpCandidate): boolean {
    if (type === 'relay' && this.#relays.size < MAX_RELAYS) this.#relays.add(endpoint(String(ip), port));
    return type === 'relay' || !this.#options.forceRelay;
  }

  #checkLines(remote: RemoteDescription): void {
    let own = 0;
    for (const { mid } of remote.sections) {
      if (this.#lines.get(mid)?.way === 'down') continue;
      if (/^s\d+$/.test(mid)) throw new PeerError('INVALID_REQUEST', `the mid ${mid} is one of the server's own names`);
      if (++own > MAX_UPLINK_SECTIONS)
        throw new PeerError('INVALID_REQUEST', `the offer has more than ${MAX_UPLINK_SECTIONS} m-lines of its own`);
    }
  }

  // What each uplink m-line becomes, without changing anything yet.
  #planUplinks(remote: RemoteDescription): Map<string, UplinkLine> {
    const plan = new Map<string, UplinkLine>();
    let accepted = 0;
    for (const section of remote.sections) {
      const before = this.#lines.get(section.mid);
      if (section.kind === 'application' || (before && before.way !== 'up')) continue;
      const media = section.rejected ? null : readUplink(section.media);
      const sends = section.sends && media !== null && accepted < this.#options.maxUplinks;
      if (sends) accepted++;
      plan.set(section.mid, {
        way: 'up',
        media: sends ? media : null,
        agreed: media ?? before?.agreed ?? null,
        refused: section.rejected || media === null,
      });
    }
    return plan;
  }

  #applyUplinks(remote: RemoteDescription, plan: ReadonlyMap<string, UplinkLine>): Omit<OfferOutcome, 'answer'> {
    const outcome: Omit<OfferOutcome, 'answer'> = { added: [], changed: [], removed: [], refused: [] };
    for (const section of remote.sections) {
      const { mid } = section;
      this.#payloadTypes.learn(section.media);
      if (section.kind === 'application') this.#lines.set(mid, { way: 'data' });
      const line = plan.get(mid);
      if (!line) continue;
      const before = this.#lines.get(mid);
      const sentBefore = before?.way === 'up' ? before.media : null;
      this.#lines.set(mid, line);
      if (line.media) (sentBefore ? outcome.changed : outcome.added).push({ mid, media: line.media });
      else if (sentBefore) outcome.removed.push(mid);
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

  // In its own offer the peer may stop or pause what it receives.
  #learnDownlinkState(section: RemoteSection): void {
    const line = this.#lines.get(section.mid);
    if (line?.way !== 'down') return;
    if (section.rejected) this.#killDownlink(line);
  }

  #killDownlink(line: DownlinkLine): void {
    const { spec } = line;
    line.dead = true;
    line.spec = line.wanted = line.agreed = null;
    spec?.onRefused();
  }

  #concludeDownlink(section: RemoteSection, offered: DownlinkMedia | null | undefined): void {
    const line = this.#lines.get(section.mid);
    if (line?.way !== 'down') return;
    if (section.rejected) {
      this.#killDownlink(line);
      return;
    }
    line.agreed = offered ?? null;
    if (!offered || line.wanted !== offered || !line.spec) return;
    const decodes = section.media.rtp.some(({ payload }) => payload === offered.payloadType);
    const { spec } = line;
    if (!section.receives || !decodes) {
      spec.onRefused();
      return;
    }
    const track = this.#connection.track(section.mid);
    track?.whenOpen(() => {
      if (line.spec === spec && line.agreed === offered) spec.onReady(track, offered.codec, offered.payloadType);
    });
  }

  // Our half of an m-line. In an answer (`remote` given) only what the peer agreed to before, and never more than it offers.
  #section(mid: string, remote?: RemoteDescription): LocalSection | undefined {
    const line = this.#lines.get(mid);
    const offered = remote?.sections.find((section) => section.mid === mid);
    if (!line || line.way === 'data') return offered?.rejected ? null : undefined;
    if (line.way === 'up') {
      if (line.refused || !line.agreed) return null;
      return { ...uplinkSection(line.agreed), direction: line.media ? 'recvonly' : 'inactive' };
    }
    if (line.dead || offered?.rejected) return null;
    const media = remote ? line.agreed : (line.wanted ?? line.agreed);
    if (!media && !line.last) return null;
    const section = media ? downlinkSection(media) : idleSection(line.last as DownlinkMedia);
    const sends =
      media !== null && (remote ? line.wanted === media && offered?.receives === true : line.wanted !== null);
    return { ...(offered ? withinOffer(section, offered.media) : section), direction: sends ? 'sendonly' : 'inactive' };
  }
}

// An answer names only what was offered (RFC 3264 section 6.1, RFC 8285 section 6).
function withinOffer(section: Partial<SdpMedia>, offered: SdpMedia): Partial<SdpMedia> {
  const isOffered = (uri: string, value: number) => offered.ext?.some((ext) => ext.uri === uri && ext.value === value);
  return { ...section, ext: (section.ext ?? []).filter(({ uri, value }) => isOffered(uri, value)) };
}

// A free m-line still needs a codec to be well-formed: the one it carried last.
function idleSection(last: DownlinkMedia): Partial<SdpMedia> {
  const { msid: _msid, ssrcs: _ssrcs, ...section } = downlinkSection(last);
  return section;
}

function endpoint(address: string, port: number): string {
  return `${address} ${port}`;
}

function newSsrc(): number {
  // Small numbers are ours for feedback, zero means none.
  return (randomBytes(4).readUInt32BE() | 0x10000) >>> 0;
}
