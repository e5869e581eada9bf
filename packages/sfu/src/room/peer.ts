import { randomBytes } from 'node:crypto';
import { describeError, type Logger, newId, type Timer } from '@orama/core';
import {
  type ClientFrame,
  type ClientFrameOf,
  CREDENTIAL_REFRESH_FRACTION,
  MAX_TRACKS_PER_PEER,
  type Participant,
  RESUME_WINDOW_MS,
  type ServerFrame,
  type SfuTicket,
  SIGNALLING_CLOSE,
  type SignallingErrorCode,
  tokenAt,
} from '@orama/protocol';
import { ReceiveEstimator } from '../congestion/receive-estimator.ts';
import { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import { DataPort } from '../data/data-port.ts';
import { Downlink } from '../media/downlink.ts';
import { Publication } from '../media/publication.ts';
import { qualityOf } from '../media/quality.ts';
import { SMALLEST, Subscription } from '../media/subscription.ts';
import type { Codec } from '../rtc/codecs.ts';
import type { RtcState } from '../rtc/connection.ts';
import type { DownlinkSpec } from '../rtc/media-lines.ts';
import { Negotiation, type OfferOutcome } from '../rtc/negotiation.ts';
import { FrameError, type Outlet } from '../signalling/outlet.ts';
import type { SfuContext } from './context.ts';
import type { Member } from './member.ts';

/** A relayed candidate may be told a moment after the connection through it stands. */
const RELAY_GRACE_MS = 2_000;

/** So long a client may send nothing, not even reports, before we look for another path to it; its SDK is quicker. */
const SILENCE_MS = 10_000;
const PATH_CHECK_MS = 1_000;
const QUALITY_MS = 2_000;

/** What a peer tells its room. */
export interface PeerHost {
  published(peer: Peer, publication: Publication): void;
  unpublished(peer: Peer, publication: Publication): void;
  /** Muted or unmuted. */
  updated(peer: Peer, publication: Publication): void;
  /** Offers it in other codecs, or with other streams. */
  renegotiated(peer: Peer, publication: Publication): void;
  /** Has another name or other metadata. */
  described(peer: Peer): void;
  /** Sends another of its codecs now. */
  codecChanged(publication: Publication): void;
  /** A subscriber cannot decode it. */
  notDecoded(publication: Publication): void;
  /** Whether everybody else decodes what the peer would send in that codec. */
  isDecodable(publisher: Peer, codec: Codec): boolean;
  /** The data channels of everybody else, and the links to those elsewhere. */
  ports(peer: Peer): Iterable<DataPort>;
  relay(from: Peer, frame: ClientFrameOf<'data'>): void;
  leave(peer: Peer, reason: LeaveReason): void;
}
/** What the client says about one of its tracks. */
type TrackDescription = NonNullable<ClientFrameOf<'offer'>['tracks']>[number];
export type LeaveReason = Extract<ServerFrame, { type: 'peer-left' }>['reason'];

export interface PeerOptions {
  ticket: SfuTicket;
  name: string | undefined;
  metadata: Record<string, unknown> | undefined;
  /** Whether it takes data channels of others. */
  channels: boolean;
  host: PeerHost;
  context: SfuContext;
  logger: Logger;
  /** A session of WHIP or WHEP: it is never sent an offer, and of the others' tracks it plays those of one publisher. */
  playback?: Playback | undefined;
  /** Gives the media port back. */
  releasePort: () => void;
}

/** What a session without signalling plays. */
export interface Playback {
  /** Id or name of the publisher; undefined for whoever came last. */
  publisher: string | undefined;
}

interface WaitingTrack {
  publication: Publication;
  cname: string;
  streamId: string;
}

/** A connected client: its socket (which may drop and come back), its connection, what it sends and what it receives. */
export class Peer implements Member {
  readonly id = newId('p');
  readonly resumeToken: string;
  readonly ticket: SfuTicket;
  #name: string | undefined;
  #metadata: Record<string, unknown> | undefined;
  /** Its data channels. */
  readonly data: DataPort;
  readonly #host: PeerHost;
  readonly #context: SfuContext;
  readonly #logger: Logger;
  readonly #releasePort: () => void;
  readonly #negotiation: Negotiation;
  /** The path from the peer; made with its first track, because most only receive and it is 35 KB. */
  #uplink: { arrivals: ArrivalRecorder; estimator: ReceiveEstimator } | null = null;
  readonly #published = new Map<string, Publication>();
  readonly #downlink: Downlink;
  readonly #received = new Map<string, Subscription>();
  readonly #playback: Playback | undefined;
  /** Tracks that no m-line of the session is free for, oldest first. */
  readonly #waiting = new Map<string, WaitingTrack>();
  #connected = false;
  #outlet: Outlet | null = null;
  #resumeTimer: Timer | null = null;
  #credentialTimer: Timer | null = null;
  #relayTimer: Timer | null = null;
  /** Kinds that the room's owner has muted: what the peer publishes later is muted as well. */
  readonly #forcedMute = new Set<'audio' | 'video'>();
  #nextPathCheckMs = 0;
  #nextQualityMs = 0;
  /** The silence that was answered with an ICE restart began here. */
  #restartedSinceMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: PeerOptions) {
    this.ticket = options.ticket;
    this.#name = options.name;
    this.#metadata = options.metadata;
    this.#host = options.host;
    this.#context = options.context;
    this.#logger = options.logger.child({ peer: this.id });
    this.#releasePort = options.releasePort;
    this.#downlink = new Downlink(options.context.counters, options.context.clock);
    this.#playback = options.playback;
    const { config, clock } = options.context;
    const secret = randomBytes(24).toString('base64url');
    this.resumeToken = options.ticket.home ? tokenAt(config.node, secret) : secret;
    this.#negotiation = new Negotiation(
      {
        connection: {
          name: this.id,
          address: config.address,
          portStart: config.mediaPortStart,
          portEnd: config.mediaPortEnd,
        },
        connect: options.context.connect,
        clock,
        forceRelay: config.forceRelay,
        maxUplinks: options.ticket.permissions.publish ? MAX_TRACKS_PER_PEER : 0,
        answersOnly: options.playback !== undefined,
        withoutData: !options.channels,
        isDecodable: (codec) => options.host.isDecodable(this, codec),
        takePort: () => options.context.ports.take(),
        front: options.context.front,
      },
      {
        sendOffer: (sdp) => this.send({ type: 'offer', sdp }),
        sendCandidate: (candidate, sdpMid) => this.send({ type: 'ice-candidate', candidate, sdpMid }),
        onChannel: (channel) => this.data.accept(channel),
        onState: (state) => this.#mediaState(state),
        onControl: (packets) => this.#downlink.receive(packets, performance.now()),
        onPath: () => this.#expectRelay(),
        onFault: (thrown) => this.#fault(thrown),
      },
    );
    this.data = new DataPort({
      peerId: this.id,
      receives: options.channels,
      maySend: options.ticket.permissions.data,
      clock,
      counters: options.context.channels,
      open: (label, init) => this.#negotiation.openChannel(label, init),
      others: () => options.host.ports(this),
      tell: (code, message) => this.send({ type: 'error', code, message }),
    });
  }

  get identity(): string {
    return this.ticket.identity;
  }

  get node(): string {
    return this.#context.config.node;
  }

  get publications(): Iterable<Publication> {
    return this.#published.values();
  }

  /** What the peer says of itself. */
  get description(): Omit<Participant, 'tracks'> {
    return {
      peerId: this.id,
      ...(this.#name === undefined ? {} : { name: this.#name }),
      ...(this.#metadata === undefined ? {} : { metadata: this.#metadata }),
    };
  }

  /** Whether its media was ever connected. */
  get connected(): boolean {
    return this.#connected;
  }

  /** What its path takes in our estimate, in bit/s; null until it has reported. */
  get availableBps(): number | null {
    return this.#downlink.availableBps;
  }

  /** How many of the others' tracks it does not get for want of bandwidth. */
  get pausedTrackCount(): number {
    let count = 0;
    for (const { delivery } of this.#received.values()) if (delivery === 'no-bandwidth') count++;
    return count;
  }

  /** How others see the peer. */
  get participant(): Participant {
    return {
      ...this.description,
      tracks: [...this.publications].map((publication) => publication.info),
    };
  }

  /** Takes a socket; an older one is closed. */
  attach(outlet: Outlet): void {
    this.#outlet?.close(SIGNALLING_CLOSE.normal, 'replaced by a newer connection');
    this.#outlet = outlet;
    this.#resumeTimer?.cancel();
    this.#resumeTimer = null;
  }

  /** The socket is gone; the media goes on for a while, so that the client can come back. */
  detach(outlet: Outlet): void {
    if (this.#outlet !== outlet || this.#closed) return;
    this.#outlet = null;
    this.#credentialTimer?.cancel();
    this.#resumeTimer = this.#context.clock.after(RESUME_WINDOW_MS, () => this.#host.leave(this, 'timeout'));
  }

  /** Sends TURN credentials now and again before they expire. */
  pushCredentials(): void {
    if (!this.#playback) this.#pushCredentials('turn-credentials');
  }

  /** After a resume: the tracks it receives, with their m-lines, and an offer that may have been lost. */
  repeatState(): void {
    for (const subscription of this.#received.values()) {
      this.#announce(subscription);
      if (subscription.delivery !== 'flowing') this.#tellDelivery(subscription);
    }
    for (const publication of this.#published.values()) {
      this.#announceOwn(publication);
      publication.repeatDemand();
    }
    this.#negotiation.repeatOffer();
  }

  /** Sends a frame, if there is a socket. */
  send(frame: ServerFrame): void {
    this.#outlet?.send(frame);
  }

  /** Handles one checked frame of the joined client. @throws FrameError */
  handle(frame: Exclude<ClientFrame, { type: 'join' }>): void {
    switch (frame.type) {
      case 'offer':
        this.#handleOffer(frame);
        break;
      case 'answer':
        asFrameError('invalid_answer', () => this.#negotiation.handleAnswer(frame.sdp));
        break;
      case 'ice-candidate':
        this.#handleCandidate(frame);
        break;
      case 'track-state':
        this.#handleTrackState(frame);
        break;
      case 'track-layers':
        this.#handleTrackLayers(frame);
        break;
      case 'subscribe':
        this.#handleSubscribe(frame);
        break;
      case 'peer-state':
        this.#name = frame.name ?? this.#name;
        this.#metadata = frame.metadata ?? this.#metadata;
        this.#host.described(this);
        break;
      case 'data':
        this.#host.relay(this, frame);
        break;
      case 'leave':
        this.#host.leave(this, 'left');
        break;
      case 'ping':
        this.send({ type: 'pong', ...(frame.id === undefined ? {} : { id: frame.id }) });
        break;
      case 'pong':
        break;
    }
  }

  /** Whether it plays what `publisher` sends. */
  wants({ id, description }: Member): boolean {
    const only = this.#playback?.publisher;
    return only === undefined || only === id || only === description.name;
  }

  /** Begins to send another peer's track to this one, now or when an m-line is free for it. */
  subscribe(publication: Publication, cname: string, streamId: string): void {
    if (!this.ticket.permissions.subscribe || this.#received.has(publication.trackId)) return;
    if (!this.#playback) {
      this.#receive(publication, cname, streamId);
      return;
    }
    this.#waiting.set(publication.trackId, { publication, cname, streamId });
    this.#playWaiting();
  }

  /** False when there is no m-line for it. */
  #receive(publication: Publication, cname: string, streamId: string): boolean {
    const { counters } = this.#context;
    let subscription: Subscription | undefined;
    const spec: DownlinkSpec = {
      kind: publication.kind,
      codec: publication.codec,
      cname,
      streamId,
      trackId: publication.trackId,
      onReady: (track, codec, payloadTypes) => subscription?.activate(track, codec, payloadTypes),
      onStopped: (why) => {
        if (why === 'codec-changed') {
          this.unsubscribe(publication);
          this.subscribe(publication, cname, streamId);
          return;
        }
        subscription?.deactivate(why);
        this.#logger.info({ track: publication.trackId, reason: why }, 'track not received');
        if (why === 'unsupported-codec') this.#host.notDecoded(publication);
      },
    };
    const place = this.#playback ? this.#negotiation.placeDownlink(spec) : this.#negotiation.addDownlink(spec);
    if (!place) return false;
    subscription = new Subscription({
      ...{ publication, ...place, cname, counters },
      downlink: this.#downlink,
      onDelivery: (changed) => this.#tellDelivery(changed),
    });
    subscription.setTarget(SMALLEST);
    this.#received.set(publication.trackId, subscription);
    publication.addSink(subscription);
    this.#announce(subscription);
    return true;
  }

  // Of one publisher only: the clocks of two are not the same, so that their sound and picture would not keep together.
  #playWaiting(): void {
    for (const { publication, cname, streamId } of [...this.#waiting.values()].reverse()) {
      const [playing] = this.#received.values();
      if (playing && playing.publication.peerId !== publication.peerId) continue;
      if (this.#receive(publication, cname, streamId)) this.#waiting.delete(publication.trackId);
    }
  }

  /** Stops sending another peer's track. */
  unsubscribe(publication: Publication): void {
    this.#waiting.delete(publication.trackId);
    const subscription = this.#received.get(publication.trackId);
    if (!subscription) return;
    this.#received.delete(publication.trackId);
    publication.removeSink(subscription);
    subscription.close();
    if (this.#closed) return;
    const { mid, nextSequence, nextRtxSequence, end } = subscription;
    this.#negotiation.removeDownlink(mid, nextSequence, nextRtxSequence, end);
    const { trackId, peerId, kind } = publication;
    this.send({ type: 'track-removed', peerId, trackId, kind });
    this.#playWaiting();
  }

  /** Whether the peer decodes a codec, as far as it told. */
  decodes(codec: Codec): boolean {
    return !this.ticket.permissions.subscribe || this.#negotiation.decodes(codec);
  }

  /** Offers what it publishes again, codecs first that all others decode now. */
  offerCodecs(): void {
    this.#negotiation.requestOffer();
  }

  /**
   * The publisher of a received track changed its codec.
   * @returns false where the codec before could not be decoded, and its m-line is gone: subscribe anew
   */
  changeCodec(publication: Publication): boolean {
    const subscription = this.#received.get(publication.trackId);
    if (!subscription) return true;
    if (subscription.delivery === 'unsupported-codec') {
      this.unsubscribe(publication);
      return false;
    }
    this.#negotiation.changeCodec(subscription.mid, publication.codec);
    return true;
  }

  /** A track is heard in the room from now on, or no longer. */
  hearingChanged({ trackId }: Publication): void {
    this.#received.get(trackId)?.hearingChanged();
  }

  /** Mutes or unmutes what the peer sends and will send, against its will. @returns how many tracks changed */
  forceMute(muted: boolean, kind?: 'audio' | 'video'): number {
    let changed = 0;
    for (const each of ['audio', 'video'] as const) {
      if (kind && kind !== each) continue;
      if (muted) this.#forcedMute.add(each);
      else this.#forcedMute.delete(each);
    }
    for (const publication of this.#published.values()) {
      if ((kind && publication.kind !== kind) || publication.forcedMute === muted) continue;
      publication.setForcedMute(muted);
      changed++;
      this.#host.updated(this, publication);
    }
    return changed;
  }

  /** Receiver reports, NACKs, key frame requests. Called every 50 ms. */
  tick(nowMs: number, withTransportFeedback: boolean): void {
    for (const publication of this.#published.values()) publication.tick(nowMs);
    for (const subscription of this.#received.values()) subscription.tick(nowMs);
    this.#downlink.tick(this.#received.values(), nowMs);
    if (nowMs >= this.#nextQualityMs) this.#tellQuality(nowMs);
    if (nowMs >= this.#nextPathCheckMs) this.#checkPath(nowMs);
    if (!withTransportFeedback) return;
    for (const publication of this.#published.values()) if (publication.sendTransportFeedback()) return;
  }

  /** Ends everything of the peer. The room has taken it out already. Idempotent. */
  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#resumeTimer?.cancel();
    this.#credentialTimer?.cancel();
    this.#relayTimer?.cancel();
    this.#outlet?.close(code, reason);
    this.#outlet = null;
    this.data.close();
    for (const subscription of this.#received.values()) {
      subscription.publication.removeSink(subscription);
      subscription.close();
    }
    this.#received.clear();
    this.#waiting.clear();
    for (const publication of this.#published.values()) publication.close();
    this.#published.clear();
    this.#downlink.close();
    this.#negotiation.close();
    this.#releasePort();
  }

  #handleOffer(frame: ClientFrameOf<'offer'>): void {
    const outcome = asFrameError('invalid_offer', () => this.#negotiation.handleOffer(frame.sdp));
    this.send({ type: 'answer', sdp: outcome.answer });
    this.#applyOutcome(outcome, new Map(frame.tracks?.map((track) => [track.mid, track])));
    this.#playWaiting();
    if (outcome.refusedData) this.#tellDataIsLate();
    if (outcome.refused.length === 0) return;
    if (!this.ticket.permissions.publish) throw new FrameError('forbidden', 'this credential may not publish');
    throw new FrameError(
      'too_many_tracks',
      `at most ${MAX_TRACKS_PER_PEER} tracks in forwarded codecs can be published`,
    );
  }

  #tellDataIsLate(): void {
    this.send({
      type: 'error',
      code: 'invalid_state',
      message: 'the m=application line was refused: it came to a connection that stands without data channels',
      hint: 'join anew with a data channel in the first offer',
    });
  }

  #applyOutcome(outcome: OfferOutcome, described: ReadonlyMap<string, TrackDescription>): void {
    for (const mid of outcome.removed) {
      const publication = this.#published.get(mid);
      if (publication) this.#unpublish(publication);
    }
    for (const { mid, media } of outcome.changed) {
      const publication = this.#published.get(mid);
      publication?.renegotiate(media);
      if (publication) this.#host.renegotiated(this, publication);
    }
    for (const { mid, media } of outcome.added) {
      this.#uplink ??= { arrivals: new ArrivalRecorder(), estimator: new ReceiveEstimator() };
      const description = described.get(mid);
      const publication = new Publication({
        trackId: newId('t'),
        peerId: this.id,
        mid,
        source: description?.source,
        muted: description?.muted ?? false,
        media,
        ...this.#uplink,
        counters: this.#context.counters,
        onCodecChange: (changed) => this.#codecChanged(changed),
        onDemand: ({ trackId }, rids) => this.send({ type: 'send-layers', trackId, mid, rids }),
      });
      publication.setForcedMute(this.#forcedMute.has(publication.kind));
      this.#published.set(mid, publication);
      const track = this.#negotiation.uplinkTrack(mid);
      if (track) publication.attach(track);
      this.#announceOwn(publication);
      this.#host.published(this, publication);
      if (publication.forcedMute) this.#host.updated(this, publication);
    }
  }

  #unpublish(publication: Publication): void {
    this.#published.delete(publication.mid);
    publication.close();
    this.#host.unpublished(this, publication);
    const { trackId, peerId, kind } = publication;
    this.send({ type: 'track-removed', peerId, trackId, kind });
  }

  #codecChanged(publication: Publication): void {
    this.#logger.info({ track: publication.trackId, codec: publication.codec.name }, 'publisher changed its codec');
    this.#host.codecChanged(publication);
  }

  #handleCandidate(frame: ClientFrameOf<'ice-candidate'>): void {
    const used = asFrameError('invalid_candidate', () => this.#negotiation.handleCandidate(frame.candidate));
    if (!used) this.#logger.debug({ reason: 'not relayed' }, 'candidate dropped');
  }

  #handleTrackState(frame: ClientFrameOf<'track-state'>): void {
    const publication = [...this.#published.values()].find(({ trackId }) => trackId === frame.trackId);
    if (!publication) throw new FrameError('unknown_track', 'you publish no such track');
    if (publication.forcedMute && !frame.muted)
      throw new FrameError('forbidden', 'the track is muted by the namespace');
    if (publication.muted === frame.muted) return;
    publication.muted = frame.muted;
    this.#host.updated(this, publication);
  }

  #handleTrackLayers({ mid, layers }: ClientFrameOf<'track-layers'>): void {
    const publication = this.#published.get(mid);
    if (!publication) throw new FrameError('unknown_track', `you publish no track on the m-line ${mid}`);
    publication.describeLayers(layers);
    this.#host.updated(this, publication);
  }

  #handleSubscribe(frame: ClientFrameOf<'subscribe'>): void {
    const subscription = this.#received.get(frame.trackId);
    if (!subscription) throw new FrameError('unknown_track', 'you receive no such track');
    subscription.setWish(frame);
  }

  #tellDelivery({ publication, delivery }: Subscription): void {
    this.send({ type: 'track-updated', peerId: publication.peerId, ...publication.info, delivery });
  }

  #tellQuality(nowMs: number): void {
    this.#nextQualityMs = nowMs + QUALITY_MS;
    if (this.#received.size === 0) return;
    const subscriptions = [...this.#received.values()];
    const rttMs = subscriptions.find((subscription) => subscription.rttMs !== null)?.rttMs;
    const { availableBps } = this.#downlink;
    this.send({
      type: 'quality',
      ...(availableBps === null ? {} : { availableBitrate: Math.round(availableBps) }),
      ...(rttMs ? { rttMs } : {}),
      tracks: subscriptions.map(qualityOf),
    });
  }

  #announce(subscription: Subscription): void {
    const { publication, mid } = subscription;
    this.send({ type: 'track-added', mid, peerId: publication.peerId, ...publication.info });
  }

  #announceOwn(publication: Publication): void {
    this.send({ type: 'track-added', mid: publication.mid, peerId: this.id, ...publication.info });
  }

  #pushCredentials(type: 'turn-credentials' | 'refresh-credentials'): void {
    this.#credentialTimer?.cancel();
    const credentials = this.#context.issueCredentials();
    if (!credentials) return;
    this.send({ type, ...credentials });
    const refreshMs = credentials.ttl * 1000 * CREDENTIAL_REFRESH_FRACTION;
    this.#credentialTimer = this.#context.clock.after(refreshMs, () => this.#pushCredentials('refresh-credentials'));
  }

  // A path that died takes half a minute to be noticed by libjuice, and then the connection is lost.
  #checkPath(nowMs: number): void {
    this.#nextPathCheckMs = nowMs + PATH_CHECK_MS;
    let { heardMs } = this.#downlink;
    for (const publication of this.#published.values()) heardMs = Math.max(heardMs, publication.heardMs);
    const isSilent = heardMs > 0 && nowMs - heardMs >= SILENCE_MS;
    if (!isSilent || !this.#outlet || heardMs === this.#restartedSinceMs || !this.#isSpokenTo(nowMs)) return;
    this.#restartedSinceMs = heardMs;
    this.#logger.info({ reason: 'silent' }, 'restarting ICE');
    this.#negotiation.restartIce();
  }

  /** Whether something should come from the peer: tracks of its own, or reports on what it receives. */
  #isSpokenTo(nowMs: number): boolean {
    for (const { muted } of this.#published.values()) if (!muted) return true;
    for (const { active, publication } of this.#received.values())
      if (active && nowMs - publication.heardMs < PATH_CHECK_MS) return true;
    return false;
  }

  #mediaState(state: RtcState): void {
    this.#logger.debug({ state }, 'media state');
    if (state === 'connected') {
      this.#connected = true;
      this.#expectRelay();
    }
    if (state === 'failed' || state === 'disconnected' || state === 'closed') this.#host.leave(this, 'media-failed');
  }

  #expectRelay(): void {
    if (!this.#context.config.forceRelay || this.#closed) return;
    this.#relayTimer?.cancel();
    this.#relayTimer = this.#context.clock.after(RELAY_GRACE_MS, () => this.#requireRelay());
  }

  #requireRelay(): void {
    if (this.#closed || this.#negotiation.isRelayed() !== false) return;
    this.send({ type: 'error', code: 'forbidden', message: 'media must come through TURN in this namespace' });
    this.#host.leave(this, 'protocol-error');
  }

  #fault(thrown: unknown): void {
    this.#logger.error({ err: thrown }, 'peer ended by a fault of ours');
    this.#host.leave(this, 'protocol-error');
  }
}

function asFrameError<T>(code: SignallingErrorCode, run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    if (thrown instanceof FrameError) throw thrown;
    throw new FrameError(code, describeError(thrown), { cause: thrown });
  }
}
