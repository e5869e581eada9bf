import { type Clock, PeerError, type Timer } from '@orama/core';
import type { SdpCandidate } from 'sdp-transform';
import type { Codec } from './codecs.ts';
import { RtcConnection, type RtcConnectionOptions, type RtcState } from './connection.ts';
import { IceSession } from './ice-session.ts';
import { LifetimeBudget } from './lifetime-budget.ts';
import { type DownlinkPlace, type DownlinkSpec, MediaLines, type UplinkOutcome } from './media-lines.ts';
import {
  candidateLine,
  parseCandidate,
  type RemoteDescription,
  readDescription,
  readIce,
  writeForNative,
  writeForPeer,
} from './sdp.ts';
import type { DownlinkMedia } from './sections.ts';
import type { StunFront } from './stun-front.ts';
import type { IceCredential } from './stun-message.ts';
import type { RtcTrack } from './track.ts';

/** How long our first offer waits for the client's, so that the two do not cross on every join. */
const FIRST_OFFER_WAIT_MS = 100;
/**
 * The least time between two of our offers: what happens meanwhile goes into the next one. It grows with the m-lines,
 * because the work of an offer does, on both sides: in a large room many joins share one.
 */
const OFFER_GAP_MS = 120;
const OFFER_GAP_PER_LINE_MS = 3;
/** An offer unanswered for so long is taken back and made anew. */
const ANSWER_TIMEOUT_MS = 10_000;
const MAX_RELAYS = 256;

/** What an offer of the peer changed, and our answer. */
export interface OfferOutcome extends UplinkOutcome {
  answer: string;
}

export interface NegotiationEvents {
  sendOffer: (sdp: string) => void;
  sendCandidate: (candidate: string, mid: string) => void;
  onUplinkTrack: (track: RtcTrack) => void;
  onState: (state: RtcState) => void;
  /** The peer's media comes from another address, because it restarted ICE or by way of the StunFront. */
  onPath: () => void;
  onFault: (thrown: unknown) => void;
}

export interface NegotiationOptions {
  connection: RtcConnectionOptions;
  clock: Clock;
  forceRelay: boolean;
  /** Tracks the peer may send at once; 0 when it may not publish. */
  maxUplinks: number;
  /** Counts one more media port (see PortBudget), for a connection that takes the place of one being closed. */
  takePort: () => (() => void) | null;
  front: StunFront;
}

/**
 * Offers and answers of one peer, strictly one at a time. We are the polite side: an offer of the peer that crosses ours
 * makes us take ours back (libdatachannel rolls back by itself; a first one goes with its connection), answer, and offer
 * again what is still wanted.
 *
 * libdatachannel gathers, encrypts and routes by SSRC; codecs, directions and extensions are kept in MediaLines and
 * written into its descriptions, because it keeps those of the first offer.
 *
 * Set-up without stalls: we are always the DTLS client, and libdatachannel never learns the peer's candidates, so that
 * its checks only follow the peer's. The peer is connected first then, and ready for our ClientHello. The other way
 * round a libdatachannel peer drops the ClientHello, and OpenSSL repeats it after a whole second.
 */
export class Negotiation {
  readonly #options: NegotiationOptions;
  readonly #events: NegotiationEvents;
  #connection: RtcConnection;
  readonly #lines: MediaLines;
  /** Relayed candidates of the peer, `address port`. */
  readonly #relays = new Set<string>();
  readonly #budget = new LifetimeBudget();
  readonly #ice: IceSession;
  /** Our m-lines that libdatachannel knows. */
  readonly #known = new Set<string>();
  /** What our unanswered offer said about each downlink. */
  #pending: Map<string, DownlinkMedia | null> | null = null;
  /** Our DTLS role, also in later offers: with `actpass` Firefox would swap the roles before they are played. */
  #setup: 'active' | 'passive' = 'active';
  #offerWanted = false;
  #mayOfferAtMs: number;
  #offerTimer: Timer | null = null;
  #answerTimer: Timer | null = null;
  #restartWanted = false;
  #remoteKnown = false;
  #startedOver = false;
  #closed = false;

  constructor(options: NegotiationOptions, events: NegotiationEvents) {
    this.#options = options;
    this.#events = events;
    this.#mayOfferAtMs = options.clock.monotonic() + FIRST_OFFER_WAIT_MS;
    this.#connection = this.#connect();
    this.#lines = new MediaLines(options.maxUplinks, (mid) => this.#connection.track(mid));
    const selected = () => this.#connection.selectedPair()?.remote ?? null;
    this.#ice = new IceSession(options.front, selected, events.onPath);
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
    this.#budget.spend(remote);
    const plan = this.#lines.plan(remote);
    const ice = readIce(remote);
    const refused = new Set([...plan].filter(([, line]) => line.refused).map(([mid]) => mid));
    if (!this.#remoteKnown && remote.sections[0]?.media.setup === 'active') this.#setup = 'passive';
    if (!this.#remoteKnown && this.#pending && !this.#startedOver) this.#startOver();
    this.#setRemote('offer', writeForNative(remote, refused, this.#ice.pinned));
    this.#noteCandidates(remote);
    if (this.#pending) this.#offerWanted = true;
    this.#endPending();
    const outcome = this.#lines.apply(remote, plan);
    const offered = new Map(remote.sections.map((section) => [section.mid, section]));
    const native = this.#connection.createLocal('answer');
    if (!this.#ice.isAgreed) this.#ice.begin(native, ice);
    else if (ice && this.#ice.isRestart(ice)) {
      this.#restartWanted = false;
      this.#ice.restart(ice);
    }
    const sectionOf = (mid: string) => this.#lines.section(mid, offered.get(mid));
    const answer = writeForPeer(native, this.#setup, this.#ice.local, sectionOf);
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
    this.#budget.spend(remote);
    this.#setRemote('answer', writeForNative(remote, new Set(), this.#ice.pinned));
    this.#noteCandidates(remote);
    this.#concludeIce(readIce(remote));
    this.#endPending();
    for (const section of remote.sections) this.#lines.conclude(section, pending.get(section.mid) ?? null);
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
    const { remote } = this.#ice;
    return remote && this.#relays.has(endpoint(remote.address, remote.port));
  }

  /** Adds a track for the peer and offers it. */
  addDownlink(spec: DownlinkSpec): DownlinkPlace {
    const added = this.#lines.addDownlink(spec);
    this.requestOffer();
    return added;
  }

  /** The publisher sends another codec now: offer that. */
  changeCodec(mid: string, codec: Codec): void {
    this.#lines.changeCodec(mid, codec);
    this.requestOffer();
  }

  /** Takes a track away from the peer; see MediaLines. */
  removeDownlink(mid: string, nextSequence: number): void {
    this.#lines.removeDownlink(mid, nextSequence);
    this.requestOffer();
  }

  /** Offers again, as soon as it may be. */
  requestOffer(): void {
    this.#offerWanted = true;
    // Everything that happens in this turn of the event loop goes into one offer.
    queueMicrotask(() => this.#scheduleOffer());
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
    this.#offerTimer?.cancel();
    this.#answerTimer?.cancel();
    this.#ice.close();
    this.#connection.close();
  }

  #connect(): RtcConnection {
    return new RtcConnection(this.#options.connection, {
      onState: this.#events.onState,
      onTrack: (track) => {
        if (this.#lines.isUplink(track.mid)) this.#events.onUplinkTrack(track);
      },
      onFault: this.#events.onFault,
    });
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
    this.#endPending();
    this.#known.clear();
    this.#connection.close();
    releasePort();
    this.#connection = this.#connect();
    this.requestOffer();
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
    const wanted = this.#lines.wanted();
    const isEmpty = [...wanted.values()].every((media) => media === null);
    if (isEmpty && !this.#remoteKnown) return;
    try {
      for (const [mid, media] of wanted) if (media) this.#sendTrack(mid, media);
      const native = this.#connection.createLocal('offer');
      if (this.#restartWanted && this.#ice.isAgreed) this.#ice.offerRestart();
      this.#pending = wanted;
      this.#answerTimer = this.#options.clock.after(ANSWER_TIMEOUT_MS, () => this.repeatOffer());
      this.#mayOfferAtMs = this.#options.clock.monotonic() + OFFER_GAP_MS + wanted.size * OFFER_GAP_PER_LINE_MS;
      this.#events.sendOffer(writeForPeer(native, this.#setup, this.#ice.local, (mid) => this.#lines.section(mid)));
    } catch (thrown) {
      this.#events.onFault(thrown);
    }
  }

  #sendTrack(mid: string, media: DownlinkMedia): void {
    if (this.#known.has(mid)) return;
    const { name, fmtp } = media.codec;
    this.#connection.sendTrack({
      ...media,
      mid,
      ssrcs: this.#lines.ssrcs(mid),
      codec: { name, payloadType: media.payloadType, fmtp },
    });
    this.#known.add(mid);
  }

  #takeBack(): void {
    this.#endPending();
    try {
      this.#connection.rollback();
    } catch (thrown) {
      this.#events.onFault(thrown);
    }
  }

  #concludeIce(remote: IceCredential | null): void {
    if (!this.#ice.isAgreed) {
      this.#ice.begin(this.#connection.localDescription, remote);
      const candidates = this.#connection.localCandidates();
      for (const { candidate, mid } of candidates) this.#events.sendCandidate(candidate, mid);
      this.#events.sendCandidate(candidateLine(this.#ice.local.candidate), candidates[0]?.mid ?? '');
      return;
    }
    if (remote && this.#ice.isRestart(remote)) this.#ice.restart(remote);
    this.#restartWanted = false;
  }

  #endPending(): void {
    this.#ice.withdrawOffer();
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
}

function endpoint(address: string, port: number): string {
  return `${address} ${port}`;
}
