import { type Clock, PeerError } from '@orama/core';
import type { StreamEnd } from '../media/timeline.ts';
import type { RtcpPacket } from '../rtp/rtcp/packets.ts';
import { Bundle, CARRIER } from './bundle.ts';
import { type ChannelInit, RtcChannel } from './channel.ts';
import type { Codec } from './codecs.ts';
import { type Connect, RtcConnection, type RtcConnectionOptions, type RtcState } from './connection.ts';
import type { DownlinkPlace, DownlinkSpec } from './downlink-spec.ts';
import { IceSession } from './ice-session.ts';
import { DATA_MID, MediaLines, type UplinkOutcome } from './media-lines.ts';
import { OfferPacing } from './offer-pacing.ts';
import { RelayedCandidates } from './relayed-candidates.ts';
import {
  candidateLine,
  dataSectionOf,
  fingerprintOf,
  type LocalLine,
  parseCandidate,
  type RemoteDescription,
  type RemoteSection,
  readDescription,
  readIce,
  writeForNative,
  writeForPeer,
} from './sdp.ts';
import type { DownlinkMedia } from './sections.ts';
import type { StunFront } from './stun-front.ts';
import type { IceCredential } from './stun-message.ts';
import type { RtcTrack } from './track.ts';

/** An answer says about as much as the offer that it is to; one that is so much longer is not read. */
const ANSWER_FACTOR = 4;
const LEAST_ANSWER = 16_384;

type MediaLine = Omit<LocalLine, 'section'>;
const DATA_LINE: MediaLine = { mid: DATA_MID, type: 'application', protocol: 'UDP/DTLS/SCTP' };

/** What an offer of the peer changed, and our answer. */
export interface OfferOutcome extends UplinkOutcome {
  answer: string;
  /** It brought a data m-line too late. */
  refusedData: boolean;
}

export interface NegotiationEvents {
  sendOffer: (sdp: string) => void;
  sendCandidate: (candidate: string, mid: string) => void;
  /** The peer opened a data channel. */
  onChannel: (channel: RtcChannel) => void;
  onState: (state: RtcState) => void;
  /** The peer reports or asks for something: one RTCP datagram, taken apart. */
  onControl: (packets: readonly RtcpPacket[]) => void;
  /** The peer's media comes from another address, because it restarted ICE or by way of the StunFront. */
  onPath: () => void;
  onFault: (thrown: unknown) => void;
}

export interface NegotiationOptions {
  connection: RtcConnectionOptions;
  /** Without it, one of libdatachannel's. */
  connect?: Connect | undefined;
  clock: Clock;
  forceRelay: boolean;
  /** Tracks the peer may send at once; 0 when it may not publish. */
  maxUplinks: number;
  /** The peer is never sent an offer (WHIP, WHEP): its tracks come on the m-lines that it brings for them. */
  answersOnly?: boolean;
  /** Our first offer has no data m-line then, which costs each end some 120 KB. */
  withoutData?: boolean;
  /** Whether everybody who receives what the peer sends decodes a codec: such are preferred. */
  isDecodable: (codec: Codec) => boolean;
  /** Counts one more media port (see PortBudget), for a connection that takes the place of one being closed. */
  takePort: () => (() => void) | null;
  front: StunFront;
}

/**
 * Offers and answers of one peer, strictly one at a time. We are the polite side: an offer of the peer that crosses ours
 * makes us take ours back (a first one goes with its connection), answer, and offer again what is still wanted.
 *
 * libdatachannel gathers and encrypts. It negotiates once, one m-line that carries everything (see Bundle), and again
 * only when data channels come; m-lines are kept in MediaLines.
 *
 * Set-up without stalls: we are always the DTLS client, and libdatachannel never learns the peer's candidates, so that
 * its checks only follow the peer's. The peer is connected first then, and ready for our ClientHello. The other way
 * round a libdatachannel peer drops the ClientHello, and OpenSSL repeats it after a whole second.
 */
export class Negotiation {
  readonly #options: NegotiationOptions;
  readonly #events: NegotiationEvents;
  #connection: RtcConnection;
  #bundle: Bundle;
  readonly #lines: MediaLines;
  readonly #pacing: OfferPacing;
  readonly #relays = new RelayedCandidates();
  readonly #ice: IceSession;
  /** The m-lines of the last description that both sides have, in their order. */
  #order: MediaLine[] = [];
  /** Our unanswered offer: its m-lines and what it said about each downlink. */
  #pending: { order: MediaLine[]; downlinks: Map<string, DownlinkMedia | null>; length: number } | null = null;
  /** The peer's DTLS certificate; one for a connection's life. */
  #fingerprint: string | undefined;
  #allowsMixed = true;
  /** Both sides have a data m-line (RFC 8841). */
  #hasData = false;
  /** Channels to the peer that wait for it. */
  #channels: { channel: RtcChannel; init: ChannelInit }[] = [];
  /** Our DTLS role, also in later offers: with `actpass` Firefox would swap the roles before they are played. */
  #setup: 'active' | 'passive' = 'active';
  #restartWanted = false;
  #remoteKnown = false;
  #startedOver = false;
  #closed = false;

  constructor(options: NegotiationOptions, events: NegotiationEvents) {
    this.#options = options;
    this.#events = events;
    this.#pacing = new OfferPacing(options.clock, {
      onTime: () => this.#offer(),
      onUnanswered: () => this.repeatOffer(),
    });
    [this.#connection, this.#bundle] = this.#connect();
    this.#lines = new MediaLines(options.maxUplinks, (mid) => this.#bundle.track(mid), options.isDecodable);
    const selected = () => this.#connection.selectedPair()?.remote ?? null;
    this.#ice = new IceSession(options.front, selected, events.onPath);
  }

  /** True while an offer of ours is out. */
  get isOffering(): boolean {
    return this.#pending !== null;
  }

  uplinkTrack(mid: string): RtcTrack | undefined {
    return this.#bundle.track(mid);
  }

  /**
   * Applies the peer's offer and makes the answer. An offer of ours that is out is taken back and made again later.
   * @throws PeerError when the offer cannot be used; nothing has changed then
   */
  handleOffer(sdp: string): OfferOutcome {
    const remote = readDescription(sdp);
    const brought = this.#options.answersOnly ? this.#lines.acceptDownlinks(remote) : [];
    const plan = this.#lines.plan(remote);
    this.#requireSameCertificate(remote);
    const ice = readIce(remote);
    if (!this.#remoteKnown && remote.sections[0]?.media.setup === 'active') this.#setup = 'passive';
    if (!this.#remoteKnown && this.#pending && !this.#startedOver) this.#startOver();
    if (!this.#remoteKnown || this.#takesData(remote)) this.#setRemoteOffer(remote);
    for (const { mid, kind } of brought) this.#bundle.send(mid, kind, this.#lines.ssrcs(mid));
    this.#noteCandidates(remote);
    this.#takeBack();
    const outcome = this.#lines.apply(remote, plan, this.#hasData);
    const refusedData = !this.#hasData && dataSectionOf(remote) !== undefined;
    this.#followUplinks(outcome, remote);
    if (!this.#ice.isAgreed) this.#ice.begin(this.#connection.localDescription, ice);
    else if (ice && this.#ice.isRestart(ice)) {
      this.#restartWanted = false;
      this.#ice.restart(ice);
    }
    this.#order = remote.sections.map(lineOf);
    const offered = new Map(remote.sections.map((section) => [section.mid, section]));
    const answer = this.#write(this.#order, (mid) => this.#lines.section(mid, offered.get(mid)));
    this.#pacing.answers();
    return { ...outcome, answer, refusedData };
  }

  /** @throws PeerError when the answer does not fit an offer of ours */
  handleAnswer(sdp: string): void {
    const pending = this.#pending;
    if (!pending) throw new PeerError('CONFLICT', 'there is no offer to answer');
    if (sdp.length > Math.max(LEAST_ANSWER, pending.length * ANSWER_FACTOR))
      throw new PeerError('INVALID_REQUEST', 'the answer is many times as long as the offer');
    const remote = readDescription(sdp);
    const answered = new Set(remote.sections.map(({ mid }) => mid));
    const left = pending.order.find(({ mid }) => !answered.has(mid));
    if (left) throw new PeerError('CONFLICT', `the answer leaves out the m-line ${left.mid} of the offer`);
    // RFC 3264 section 6: an answer has the offer's m-lines, and no others.
    if (remote.sections.length > pending.order.length)
      throw new PeerError('INVALID_REQUEST', 'the answer has m-lines that the offer has not');
    this.#requireSameCertificate(remote);
    if (!this.#remoteKnown) this.#setRemote('answer', remote, false);
    // To libdatachannel a data m-line always comes from the peer: it would name one of its own as it likes.
    if (this.#takesData(remote)) this.#setRemoteOffer(remote);
    this.#order = pending.order;
    this.#noteCandidates(remote);
    this.#concludeIce(readIce(remote));
    this.#endPending();
    this.#pacing.ended();
    for (const section of remote.sections) this.#lines.conclude(section, pending.downlinks.get(section.mid) ?? null);
    this.#pacing.resume();
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
    return this.#relays.note(candidate) || !this.#options.forceRelay;
  }

  /**
   * Whether the pair in use ends at a relayed candidate that the peer told us; null before there is a pair.
   * Dropping other candidates is not enough where relaying is forced: ICE also learns addresses from incoming checks.
   */
  isRelayed(): boolean | null {
    const { remote } = this.#ice;
    return remote && this.#relays.has(remote);
  }

  /** Adds a track for the peer and offers it. */
  addDownlink(spec: DownlinkSpec): DownlinkPlace {
    const added = this.#lines.addDownlink(spec);
    this.#bundle.send(added.mid, spec.kind, this.#lines.ssrcs(added.mid));
    this.requestOffer();
    return added;
  }

  /** Puts a track on a free m-line of a peer that is never sent an offer; null when it has none. */
  placeDownlink(spec: DownlinkSpec): DownlinkPlace | null {
    return this.#lines.placeDownlink(spec);
  }

  /**
   * Opens a data channel to the peer, once both have an m-line for it, which is offered where there is none as long as
   * the connection does not stand. Never, where a peer that is connected has none.
   */
  openChannel(label: string, init: ChannelInit): RtcChannel {
    const channel = new RtcChannel(label, init.protocol, this.#events.onFault);
    if (this.#hasData) {
      this.#connection.openChannel(channel, init);
      return channel;
    }
    this.#channels = this.#channels.filter((waiting) => !waiting.channel.hasEnded);
    this.#channels.push({ channel, init });
    const isOffered = [...this.#order, ...(this.#pending?.order ?? [])].some(isData);
    if (!isOffered && this.#connection.isConnecting) this.requestOffer();
    return channel;
  }

  /** The publisher sends another codec now: offer that. */
  changeCodec(mid: string, codec: Codec): void {
    this.#lines.changeCodec(mid, codec);
    this.requestOffer();
  }

  /** Takes a track away from the peer; see MediaLines. */
  removeDownlink(mid: string, nextSequence: number, nextRtxSequence?: number, end: StreamEnd | null = null): void {
    this.#lines.removeDownlink(mid, nextSequence, nextRtxSequence, end);
    this.requestOffer();
  }

  /** Whether the peer decodes a codec, as far as it told: true where nothing speaks against it. */
  decodes(codec: Codec): boolean {
    return this.#lines.decodes(codec);
  }

  /** Offers again, as soon as it may be. */
  requestOffer(): void {
    if (!this.#options.answersOnly) this.#pacing.request();
  }

  /** Offers with new ICE credentials: the peer finds itself a new way, and nothing else changes. */
  restartIce(): void {
    this.#restartWanted = true;
    this.requestOffer();
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
    this.#pacing.close();
    this.#ice.close();
    this.#bundle.close();
    this.#connection.close();
  }

  #connect(): [RtcConnection, Bundle] {
    const { onState, onChannel, onFault } = this.#events;
    const { connection: options, connect } = this.#options;
    const events = { onState, onChannel, onFault };
    const connection = connect ? connect(options, events) : new RtcConnection(options, events);
    return [connection, new Bundle(connection.sendTrack(CARRIER), this.#events.onControl)];
  }

  /**
   * Forgets our first offer, which nobody applied, with its connection: having offered, libjuice would insist on the
   * controlling role against a peer that takes it too, and a rollback does not change its mind. Without a spare port the
   * two have to settle their conflict.
   */
  #startOver(): void {
    const releasePort = this.#options.takePort();
    if (!releasePort) return;
    this.#startedOver = true;
    this.#takeBack();
    this.#bundle.close();
    this.#connection.close();
    releasePort();
    [this.#connection, this.#bundle] = this.#connect();
    for (const { mid, kind } of this.#lines.downlinks()) this.#bundle.send(mid, kind, this.#lines.ssrcs(mid));
    this.requestOffer();
  }

  #offer(): void {
    const wanted = this.#lines.wanted();
    const order = [...this.#order];
    const isEmpty = [...wanted.values()].every((media) => media === null);
    if (isEmpty && !this.#remoteKnown && this.#channels.length === 0) return;
    try {
      if (!this.#remoteKnown && this.#connection.isStable) this.#connection.createLocal('offer');
      if (this.#restartWanted && this.#ice.isAgreed) this.#ice.offerRestart();
      for (const [mid, media] of wanted)
        if (media && !order.some((line) => line.mid === mid))
          order.push({ mid, type: media.kind, protocol: 'UDP/TLS/RTP/SAVPF' });
      // In the first offer: after that it may be too late.
      const isFirst = !this.#remoteKnown && !this.#options.withoutData;
      const wantsData = isFirst || (this.#channels.length > 0 && this.#connection.isConnecting);
      if (wantsData && !order.some(isData)) order.push(DATA_LINE);
      const sdp = this.#write(order, (mid) => this.#lines.section(mid));
      this.#pending = { order, downlinks: wanted, length: sdp.length };
      this.#pacing.sent(wanted.size);
      this.#events.sendOffer(sdp);
    } catch (thrown) {
      this.#events.onFault(thrown);
    }
  }

  #write(order: readonly MediaLine[], sectionOf: (mid: string) => LocalLine['section']): string {
    const lines = order.map((line) => ({ ...line, section: sectionOf(line.mid) }));
    const native = this.#connection.localDescription;
    // See RtcConnection.createLocal: a first offer names no candidates.
    const sdp = this.#remoteKnown ? native : withoutCandidates(native);
    return writeForPeer(sdp, this.#setup, this.#ice.local, lines, this.#allowsMixed);
  }

  #concludeIce(remote: IceCredential | null): void {
    if (!this.#ice.isAgreed) {
      this.#ice.begin(this.#connection.localDescription, remote);
      const mid = this.#order[0]?.mid ?? '';
      for (const { candidate } of this.#connection.localCandidates()) this.#events.sendCandidate(candidate, mid);
      this.#events.sendCandidate(candidateLine(this.#ice.local.candidate), mid);
      return;
    }
    if (remote && this.#ice.isRestart(remote)) this.#ice.restart(remote);
    this.#restartWanted = false;
  }

  #endPending(): void {
    this.#ice.withdrawOffer();
    this.#pending = null;
  }

  #takeBack(): void {
    this.#endPending();
    this.#pacing.takenBack();
  }

  // libdatachannel fails a connection that stands when a data m-line comes to it.
  #takesData(remote: RemoteDescription): boolean {
    return !this.#hasData && dataSectionOf(remote) !== undefined && this.#connection.isConnecting;
  }

  #setRemoteOffer(remote: RemoteDescription): void {
    this.#setRemote('offer', remote, true);
    this.#connection.createLocal('answer');
    if (dataSectionOf(remote) === undefined) return;
    this.#hasData = true;
    for (const { channel, init } of this.#channels) this.#connection.openChannel(channel, init);
    this.#channels = [];
  }

  #setRemote(type: 'offer' | 'answer', remote: RemoteDescription, withData: boolean): void {
    try {
      this.#connection.setRemote(type, writeForNative(remote, this.#ice.pinned, withData));
    } catch (thrown) {
      throw new PeerError('INVALID_REQUEST', `the ${type} was refused by the media engine`, { cause: thrown });
    }
    this.#remoteKnown = true;
    this.#fingerprint = fingerprintOf(remote)?.hash;
    this.#allowsMixed = remote.allowsMixed;
  }

  // A page that made itself a new connection has to join anew: DTLS and ICE of the old one cannot go on with it.
  #requireSameCertificate(remote: RemoteDescription): void {
    const hash = fingerprintOf(remote)?.hash;
    if (this.#remoteKnown && hash !== undefined && hash !== this.#fingerprint)
      throw new PeerError('CONFLICT', 'the description is of another connection: its fingerprint changed; join again');
  }

  #followUplinks({ added, changed, removed }: UplinkOutcome, remote: RemoteDescription): void {
    for (const mid of removed) this.#bundle.ignore(mid);
    for (const { mid, media } of [...changed, ...added]) {
      const section = remote.sections.find((candidate) => candidate.mid === mid);
      this.#bundle.listen(mid, media, section?.media.ssrcs?.map(({ id }) => id) ?? []);
    }
  }

  #noteCandidates(remote: RemoteDescription): void {
    for (const { media } of remote.sections)
      for (const candidate of media.candidates ?? []) this.#relays.note(candidate);
  }
}

function lineOf({ mid, kind, media }: RemoteSection): MediaLine {
  return { mid, type: kind, protocol: media.protocol };
}

function isData({ type }: MediaLine): boolean {
  return type === 'application';
}

function withoutCandidates(sdp: string): string {
  return sdp.replaceAll(/^a=(?:candidate:.*|end-of-candidates)\r?\n/gm, '');
}
