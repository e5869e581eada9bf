import { randomBytes } from 'node:crypto';
import { describeError, type Logger, newId, type Timer } from '@orama/core';
import {
  type ClientFrame,
  type ClientFrameOf,
  MAX_TRACKS_PER_PEER,
  type Participant,
  RESUME_WINDOW_MS,
  type ServerFrame,
  type SfuTicket,
  SIGNALLING_CLOSE,
  type SignallingErrorCode,
  tokenAt,
} from '@orama/protocol';
import { DataPort } from '../data/data-port.ts';
import type { Publication } from '../media/publication.ts';
import type { Codec } from '../rtc/codecs.ts';
import type { RtcState } from '../rtc/connection.ts';
import { Negotiation } from '../rtc/negotiation.ts';
import { FrameError, type Outlet } from '../signalling/outlet.ts';
import type { SfuContext } from './context.ts';
import { CredentialPush } from './credential-push.ts';
import type { Member } from './member.ts';
import { PathWatch } from './path-watch.ts';
import type { PeerHost } from './peer-host.ts';
import { PublishedTracks } from './published-tracks.ts';
import { type Playback, ReceivedTracks } from './received-tracks.ts';

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
  readonly #published: PublishedTracks;
  readonly #received: ReceivedTracks;
  readonly #path: PathWatch;
  /** Null for a session without signalling. */
  readonly #credentials: CredentialPush | null;
  #connected = false;
  #outlet: Outlet | null = null;
  #resumeTimer: Timer | null = null;
  #closed = false;

  constructor(options: PeerOptions) {
    const { ticket, host, context, playback } = options;
    this.ticket = ticket;
    this.#name = options.name;
    this.#metadata = options.metadata;
    this.#host = host;
    this.#context = context;
    this.#releasePort = options.releasePort;
    const logger = options.logger.child({ peer: this.id });
    this.#logger = logger;
    const secret = randomBytes(24).toString('base64url');
    this.resumeToken = ticket.home ? tokenAt(context.config.node, secret) : secret;
    const negotiation = this.#negotiate(options);
    this.#negotiation = negotiation;
    const trackOf = (mid: string) => negotiation.uplinkTrack(mid);
    const published = new PublishedTracks({ peer: this, host, counters: context.counters, logger, trackOf });
    const received = new ReceivedTracks({ peer: this, host, negotiation, context, logger, playback });
    this.#published = published;
    this.#received = received;
    const onRefused = () => this.#refusePath();
    const takesOffers = playback === undefined;
    this.#path = new PathWatch({ negotiation, published, received, context, logger, takesOffers, onRefused });
    this.#credentials = playback ? null : new CredentialPush(context, (frame) => this.send(frame));
    this.data = new DataPort({
      peerId: this.id,
      receives: options.channels,
      maySend: ticket.permissions.data,
      clock: context.clock,
      counters: context.channels,
      open: (label, init) => negotiation.openChannel(label, init),
      others: () => host.ports(this),
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
    return this.#published.all;
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
    return this.#received.availableBps;
  }

  /** How many of the others' tracks it does not get for want of bandwidth. */
  get pausedTrackCount(): number {
    return this.#received.pausedCount;
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
    this.#credentials?.stop();
    this.#resumeTimer = this.#context.clock.after(RESUME_WINDOW_MS, () => this.#host.leave(this, 'timeout'));
  }

  /** Sends TURN credentials now and again before they expire. */
  pushCredentials(): void {
    this.#credentials?.start();
  }

  /** After a resume: the tracks it receives, with their m-lines, and an offer that may have been lost. */
  repeatState(): void {
    this.#received.repeat();
    this.#published.repeat();
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
        this.#published.setMuted(frame);
        break;
      case 'track-layers':
        this.#published.describeLayers(frame);
        break;
      case 'subscribe':
        this.#received.setWish(frame);
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
  wants(publisher: Member): boolean {
    return this.#received.wants(publisher);
  }

  /** Begins to send another peer's track to this one, now or when an m-line is free for it. */
  subscribe(publication: Publication, cname: string, streamId: string): void {
    this.#received.subscribe(publication, cname, streamId);
  }

  /** Stops sending another peer's track. */
  unsubscribe(publication: Publication): void {
    this.#received.unsubscribe(publication);
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
    return this.#received.changeCodec(publication);
  }

  /** A track is heard in the room from now on, or no longer. */
  hearingChanged(publication: Publication): void {
    this.#received.hearingChanged(publication);
  }

  /** Mutes or unmutes what the peer sends and will send, against its will. @returns how many tracks changed */
  forceMute(muted: boolean, kind?: 'audio' | 'video'): number {
    return this.#published.forceMute(muted, kind);
  }

  /** Receiver reports, NACKs, key frame requests. Called every 50 ms. */
  tick(nowMs: number, withTransportFeedback: boolean): void {
    this.#published.tick(nowMs);
    this.#received.tick(nowMs);
    this.#path.check(nowMs, this.#outlet !== null);
    if (withTransportFeedback) this.#published.sendTransportFeedback();
  }

  /** Ends everything of the peer. The room has taken it out already. Idempotent. */
  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#resumeTimer?.cancel();
    this.#credentials?.stop();
    this.#path.close();
    this.#outlet?.close(code, reason);
    this.#outlet = null;
    this.data.close();
    this.#received.close();
    this.#published.close();
    this.#negotiation.close();
    this.#releasePort();
  }

  #negotiate({ ticket, channels, host, context, playback }: PeerOptions): Negotiation {
    const { config, clock, connect, ports, front } = context;
    return new Negotiation(
      {
        connection: {
          name: this.id,
          address: config.address,
          portStart: config.mediaPortStart,
          portEnd: config.mediaPortEnd,
        },
        connect,
        clock,
        forceRelay: config.forceRelay,
        maxUplinks: ticket.permissions.publish ? MAX_TRACKS_PER_PEER : 0,
        answersOnly: playback !== undefined,
        withoutData: !channels,
        isDecodable: (codec) => host.isDecodable(this, codec),
        takePort: () => ports.take(),
        front,
      },
      {
        sendOffer: (sdp) => this.send({ type: 'offer', sdp }),
        sendCandidate: (candidate, sdpMid) => this.send({ type: 'ice-candidate', candidate, sdpMid }),
        onChannel: (channel) => this.data.accept(channel),
        onState: (state) => this.#mediaState(state),
        onControl: (packets) => this.#received.hear(packets, performance.now()),
        onPath: () => this.#path.expectRelay(),
        onFault: (thrown) => this.#fault(thrown),
      },
    );
  }

  #handleOffer(frame: ClientFrameOf<'offer'>): void {
    const outcome = asFrameError('invalid_offer', () => this.#negotiation.handleOffer(frame.sdp));
    this.send({ type: 'answer', sdp: outcome.answer });
    this.#published.apply(outcome, frame);
    this.#received.playWaiting();
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

  #handleCandidate(frame: ClientFrameOf<'ice-candidate'>): void {
    const used = asFrameError('invalid_candidate', () => this.#negotiation.handleCandidate(frame.candidate));
    if (!used) this.#logger.debug({ reason: 'not relayed' }, 'candidate dropped');
  }

  #mediaState(state: RtcState): void {
    this.#logger.debug({ state }, 'media state');
    if (state === 'connected') {
      this.#connected = true;
      this.#path.expectRelay();
    }
    if (state === 'failed' || state === 'disconnected' || state === 'closed') this.#host.leave(this, 'media-failed');
  }

  #refusePath(): void {
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
