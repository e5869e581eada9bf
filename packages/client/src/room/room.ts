import type { RoomPermissions, ServerFrame, ServerFrameOf, TurnCredentials } from '@orama/protocol';
import { type Clock, systemClock, type Timer } from '../clock.ts';
import { Emitter } from '../emitter.ts';
import { ClientError, describeError } from '../errors.ts';
import { type IcePath, otherPath } from '../media/ice-path.ts';
import { LocalTrack, type PublishOptions } from '../media/local-track.ts';
import { MediaSession } from '../media/media-session.ts';
import { type RoomStats, StatsReader } from '../media/stats.ts';
import { type ChannelOptions, Channels, type ReceivedChannel } from './channels.ts';
import { Connection } from './connection.ts';
import { watchElement } from './element-watch.ts';
import type { ConnectOptions, Platform } from './options.ts';
import {
  type ParticipantChange,
  Participants,
  type ReceivedTrack,
  type RemoteParticipant,
  type RemoteTrack,
} from './participants.ts';
import { DEFAULT_RECONNECT_POLICY } from './reconnect-policy.ts';
import type { QualityLimit, RoomEvents, RoomState, SubscriptionOptions } from './room-events.ts';
import { Wishes } from './wishes.ts';

const STATS_EVERY_MS = 1_000;
/** Where clients may send without TURN, the connection does not wait longer than this for credentials. */
const CREDENTIALS_WAIT_MS = 1_000;

const MAX_LAYERS: Readonly<Record<QualityLimit, number | undefined>> = { low: 0, medium: 1, high: undefined };

interface Publication {
  settled: boolean;
  resolve(track: LocalTrack): void;
  reject(error: ClientError): void;
}

/** A room we are in. Made by `connect()`. */
export class Room extends Emitter<RoomEvents> {
  readonly roomId: string;
  readonly #platform: Platform;
  readonly #connection: Connection;
  readonly #participants = new Participants((change) => this.#onChange(change));
  readonly #publications = new Map<LocalTrack, Publication>();
  readonly #channels = new Channels();
  /** What we say of ourselves when we join. */
  readonly #self: Pick<ConnectOptions, 'name' | 'metadata'>;
  readonly #joined = Promise.withResolvers<void>();
  readonly #statsTimer: Timer;
  readonly #wishes: Wishes;
  #state: RoomState = 'connecting';
  #peerId = '';
  #welcome: ServerFrameOf<'welcome'> | undefined;
  #credentials: TurnCredentials | undefined;
  #media: MediaSession | undefined;
  #statsReader = new StatsReader();
  #credentialsTimer: Timer | undefined;
  /** What the next attempt at media uses of TURN. */
  #path: IcePath = 'udp';

  /** @internal use `connect()` */
  constructor(options: ConnectOptions) {
    super();
    this.roomId = options.room;
    this.#platform = platformOf(options.platform);
    this.#wishes = new Wishes(this.#platform.clock, (frame) => this.#connection.send(frame));
    for (const { track, options: publishOptions } of options.publish ?? []) this.#publish(track, publishOptions);
    this.#statsTimer = this.#platform.clock.every(STATS_EVERY_MS, () => void this.#emitStats());
    const policy = { ...DEFAULT_RECONNECT_POLICY, ...options.reconnect };
    const own = { ...options };
    this.#self = own;
    this.#connection = new Connection(own, this.#platform, policy, {
      onWelcome: (welcome) => this.#onWelcome(welcome),
      onFrame: (frame) => this.#onFrame(frame),
      onLost: (reason, attempt) => this.#onLost(reason, attempt),
      onEnd: (reason) => this.#end(reason),
    });
  }

  get state(): RoomState {
    return this.#state;
  }

  /** Our own id in the room; another one after every join that is not a resume. */
  get peerId(): string {
    return this.#peerId;
  }

  /** What the room's owner wrote about it; undefined before the first join, and where nothing was written. */
  get metadata(): Record<string, unknown> | undefined {
    return this.#welcome?.roomMetadata;
  }

  /** What our credential lets us do; undefined before the first join. */
  get permissions(): RoomPermissions | undefined {
    return this.#welcome?.permissions;
  }

  /** The others, by peer id. */
  get participants(): ReadonlyMap<string, RemoteParticipant> {
    return this.#participants.all;
  }

  /** Data channels that others have open to us. */
  get receivedChannels(): readonly ReceivedChannel[] {
    return this.#channels.received;
  }

  get localTracks(): readonly LocalTrack[] {
    return [...this.#publications.keys()];
  }

  /** @internal settles with the first join */
  get joined(): Promise<void> {
    return this.#joined.promise;
  }

  /**
   * Sends a track to the room; it is published again by itself after every reconnect.
   * Resolves when the server has accepted it, rejects with a `ClientError` when it has not.
   */
  publish(track: MediaStreamTrack, options?: PublishOptions): Promise<LocalTrack> {
    if (this.#state === 'disconnected') return Promise.reject(notConnected('publish a track'));
    const { local, published } = this.#publish(track, options);
    this.#media?.publish([local]);
    return published;
  }

  /** Takes a track out of the room. The MediaStreamTrack itself goes on; stop it when nobody needs it. */
  unpublish(track: LocalTrack): void {
    this.#removeLocal(track, undefined);
    this.#media?.unpublish(track);
  }

  /** Sends black or silence instead, and tells the others. */
  mute(track: LocalTrack): void {
    this.#setMuted(track, true);
  }

  unmute(track: LocalTrack): void {
    this.#setMuted(track, false);
  }

  /** Starts or stops receiving a track, or limits it. By default everything is received, as good as the path allows. */
  subscribe(track: RemoteTrack | string, enabled: boolean, options: SubscriptionOptions = {}): void {
    this.#wishes.set(trackIdOf(track), { enabled, ...options });
  }

  /** Limits the picture to its smallest layer (`low`), the next one (`medium`), or not at all (`high`). */
  setQuality(track: RemoteTrack | string, quality: QualityLimit): void {
    this.#wishes.set(trackIdOf(track), { maxLayer: MAX_LAYERS[quality] });
  }

  /** Tracks of a higher priority get bandwidth first: 0 to 255, 100 unless set. Audio always comes before video. */
  setPriority(track: RemoteTrack | string, priority: number): void {
    this.#wishes.set(trackIdOf(track), { priority });
  }

  /**
   * Shows a track in an element, and receives no larger a picture than its size needs and none while it is scrolled out
   * of view or hidden. A track may be shown in several elements: the largest counts.
   * @returns ends it; the element is left empty
   */
  attach(track: ReceivedTrack, element: HTMLMediaElement): () => void {
    element.srcObject = new MediaStream([track.mediaStreamTrack]);
    const unwatch = track.kind === 'video' ? this.watch(track, element) : () => {};
    return () => {
      unwatch();
      element.srcObject = null;
    };
  }

  /** Only the watching of `attach()`, for an element that shows the track already. @returns ends it */
  watch(track: RemoteTrack, element: HTMLElement): () => void {
    const stop = watchElement(element, (shown) => this.#wishes.show(track.trackId, element, shown));
    return () => {
      stop();
      if (this.#participants.track(track.trackId)) this.#wishes.show(track.trackId, element, null);
    };
  }

  /** Sends JSON of at most 16 KB to everybody, or to one peer. */
  sendData(data: unknown, options: { to?: RemoteParticipant | string } = {}): void {
    const to = typeof options.to === 'object' ? options.to.peerId : options.to;
    this.#connection.send({ type: 'data', data, ...(to === undefined ? {} : { to }) });
  }

  /**
   * Opens a data channel to everybody else, who get it as a `channel` event, or to one peer, who can answer on it.
   * Resolves when it is open. It ends with the media session: after a `reconnected` that did not resume, open another.
   */
  openChannel(label: string, options: ChannelOptions = {}): Promise<RTCDataChannel> {
    if (this.#state === 'disconnected') return Promise.reject(notConnected('open a channel'));
    return this.#channels.open(label, options);
  }

  /** Changes the name or the metadata that the others see; what is left out stays as it is. */
  describeSelf(change: { name?: string; metadata?: Record<string, unknown> }): void {
    Object.assign(this.#self, change);
    this.#connection.send({ type: 'peer-state', ...change });
  }

  /** What is sent and received right now, and on which path. Bit rates are since the call before. */
  async stats(): Promise<RoomStats> {
    const media = this.#media;
    const report = await media?.pc.getStats().catch(() => undefined);
    if (!media || !report) return { pair: undefined, inbound: [], outbound: [] };
    return this.#statsReader.read(report as unknown as Iterable<[string, unknown]>, {
      inbound: (mid, trackIdentifier) => {
        const track = this.#participants.trackOf(mid, trackIdentifier);
        return track && { trackId: track.trackId, peerId: track.participant.peerId };
      },
      outbound: (mid) => {
        const track = mid === undefined ? undefined : media.sentOn(mid);
        return track && { trackId: track.trackId, source: track.source };
      },
    });
  }

  /** Tries now what was waiting for its time; call it when the network is back. */
  reconnectNow(): void {
    this.#connection.reconnectNow();
  }

  /** Leaves the room. Published MediaStreamTracks are the application's and go on. */
  leave(): void {
    this.#connection.close();
    this.#end(new ClientError('left', 'left the room'));
  }

  #publish(track: MediaStreamTrack, options: PublishOptions | undefined) {
    const local = new LocalTrack(track, options);
    const { promise: published, resolve, reject } = Promise.withResolvers<LocalTrack>();
    // Whoever published with connect() has no promise to look at; refusals reach them as an event.
    published.catch(() => {});
    this.#publications.set(local, { settled: false, resolve, reject });
    track.addEventListener('ended', () => this.#publications.has(local) && this.unpublish(local), { once: true });
    return { local, published };
  }

  #setMuted(track: LocalTrack, muted: boolean, forced = false): void {
    if (!this.#publications.has(track) || track.muted === muted) return;
    track.muted = muted;
    track.mediaStreamTrack.enabled = !muted;
    if (track.trackId !== undefined && !forced) {
      this.#connection.send({ type: 'track-state', trackId: track.trackId, muted });
    }
    this.emit('local-track-updated', track, { forced });
  }

  #removeLocal(track: LocalTrack, reason: ClientError | undefined): void {
    const publication = this.#publications.get(track);
    if (!publication) return;
    this.#publications.delete(track);
    publication.reject(reason ?? new ClientError('left', 'the track was unpublished before it was accepted'));
    this.emit('local-track-removed', track, reason);
  }

  #onWelcome(welcome: ServerFrameOf<'welcome'>): void {
    const isFirst = this.#welcome === undefined;
    this.#welcome = welcome;
    this.#peerId = welcome.peerId;
    if (!welcome.resumed) this.#wishes.clear();
    this.#participants.replace(welcome.participants, welcome.resumed ? 'left' : 'reconnected');
    if (welcome.resumed && this.#media) {
      this.#media.resume();
      this.#connection.markHealthy();
      this.#back(true);
      return;
    }
    this.#dropMedia();
    if (!welcome.forceRelay) {
      this.#credentialsTimer = this.#platform.clock.after(CREDENTIALS_WAIT_MS, () => this.#startMedia());
    }
    if (isFirst) {
      this.#state = 'connected';
      this.#joined.resolve();
    }
    const mediaExpected = this.#publications.size > 0 || welcome.participants.some(({ tracks }) => tracks.length > 0);
    if (!mediaExpected) {
      this.#connection.markHealthy();
      this.#back(false);
    }
  }

  #onFrame(frame: ServerFrame): void {
    if (frame.type === 'turn-credentials' || frame.type === 'refresh-credentials') {
      this.#credentials = { uris: frame.uris, username: frame.username, password: frame.password, ttl: frame.ttl };
      this.#useCredentials(this.#credentials);
    } else if ('peerId' in frame && frame.peerId === this.#peerId) {
      this.#onOwnFrame(frame);
    } else if (frame.type === 'data') {
      const from = this.participants.get(frame.from);
      this.emit('data', { data: frame.data, from, fromPeerId: frame.from, direct: frame.to !== undefined });
    } else if (frame.type === 'server-draining') {
      this.#connection.rejoin(new ClientError('moved', `the server is going away: ${frame.reason}`));
    } else if (frame.type === 'quality') {
      this.emit('quality', this.#participants.measure(frame));
    } else if (frame.type === 'active-speakers') {
      const speakers = frame.speakers.map((speaker) => ({
        ...speaker,
        participant: this.participants.get(speaker.peerId),
      }));
      this.emit('active-speakers', speakers);
    } else if (this.#participants.receive(frame)) {
      this.#bindTracks();
    } else if (!this.#receiveMedia(frame) && frame.type === 'error') {
      this.#warn(frame);
    }
  }

  /** The server announces our own tracks to us as well: that is how we learn their ids. */
  #onOwnFrame(frame: ServerFrame): void {
    if (frame.type === 'track-added') {
      const track = this.#media?.sentOn(frame.mid);
      if (!track) return;
      track.trackId = frame.trackId;
      if (frame.muted !== track.muted) {
        this.#connection.send({ type: 'track-state', trackId: frame.trackId, muted: track.muted });
      }
    } else if (frame.type === 'track-updated') {
      const track = this.localTracks.find(({ trackId }) => trackId === frame.trackId);
      if (track && frame.forced) this.#setMuted(track, frame.muted, true);
    }
  }

  #receiveMedia(frame: ServerFrame): boolean {
    if (!this.#media && frame.type === 'offer') this.#startMedia();
    return this.#media?.receive(frame) ?? false;
  }

  /** A browser refuses addresses it does not like, for example with a port that it blocks. */
  #useCredentials(credentials: TurnCredentials): void {
    if (!this.#media) {
      this.#startMedia();
      return;
    }
    try {
      this.#media.refreshCredentials(credentials);
    } catch (thrown) {
      this.#warn({ code: 'media_failed', message: describeError(thrown) });
    }
  }

  #startMedia(): void {
    this.#credentialsTimer?.cancel();
    if (this.#media || !this.#welcome || this.#state === 'disconnected') return;
    this.#statsReader = new StatsReader();
    try {
      this.#media = this.#openMedia(this.#welcome.forceRelay);
    } catch (thrown) {
      this.#connection.close();
      const message = `the browser cannot open a media connection: ${describeError(thrown)}`;
      this.#end(new ClientError('media_failed', message, { cause: thrown }));
      return;
    }
    const media = this.#media;
    this.#channels.use((label, init) => media.openChannel(label, init));
    media.publish(this.localTracks);
  }

  #openMedia(forceRelay: boolean): MediaSession {
    return new MediaSession(
      this.#platform,
      this.#credentials,
      { forceRelay, path: this.#path },
      {
        send: (frame) => this.#connection.send(frame),
        onConnected: () => {
          this.#connection.markHealthy();
          this.#back(false);
        },
        onReceiversChanged: () => this.#bindTracks(),
        onChannel: (channel) =>
          this.emit(
            'channel',
            this.#channels.receive(channel, (peerId) => this.participants.get(peerId)),
          ),
        onPublished: (track) => this.#publications.get(track)?.resolve(track),
        onRefused: (track, error) => this.#removeLocal(track, error),
        onUnrelatedError: (frame) => this.#warn(frame),
        onFailed: (error, wasConnected) => {
          if (!wasConnected) this.#path = otherPath(this.#path);
          this.#connection.rejoin(error);
        },
      },
    );
  }

  #warn({ code, message }: { code: string; message: string }): void {
    this.emit('warning', { code, message });
  }

  #bindTracks(): void {
    const media = this.#media;
    if (media) this.#participants.bind((mid) => media.receiving(mid));
  }

  #dropMedia(): void {
    this.#credentialsTimer?.cancel();
    this.#channels.pause();
    this.#media?.close();
    this.#media = undefined;
    this.#credentials = undefined;
    for (const track of this.#publications.keys()) track.trackId = undefined;
  }

  #onLost(reason: ClientError, attempt: number): void {
    if (this.#state === 'connecting') return;
    this.#media?.suspend();
    this.#state = 'reconnecting';
    this.emit('reconnecting', { reason, attempt });
  }

  #back(resumed: boolean): void {
    if (this.#state !== 'reconnecting') return;
    this.#state = 'connected';
    this.emit('reconnected', { resumed });
  }

  #onChange(change: ParticipantChange): void {
    if (change.type === 'participant-joined') this.emit(change.type, change.participant);
    else if (change.type === 'participant-updated') this.emit(change.type, change.participant);
    else if (change.type === 'participant-left') this.emit(change.type, change.participant, change.reason);
    else if (change.type === 'track-added') this.emit(change.type, change.track, change.track.participant);
    else {
      if (change.type === 'track-removed') this.#wishes.forget(change.track.trackId);
      this.emit(change.type, change.track, change.track.participant);
    }
  }

  #end(reason: ClientError): void {
    if (this.#state === 'disconnected') return;
    this.#state = 'disconnected';
    this.#statsTimer.cancel();
    this.#participants.replace([], reason.code);
    this.#wishes.clear();
    this.#dropMedia();
    this.#channels.end(reason);
    for (const publication of this.#publications.values()) publication.reject(reason);
    this.#publications.clear();
    this.#joined.reject(reason);
    this.emit('disconnected', reason);
  }

  async #emitStats(): Promise<void> {
    if (this.#media && this.listenerCount('stats') > 0) this.emit('stats', await this.stats());
  }
}

function trackIdOf(track: RemoteTrack | string): string {
  return typeof track === 'string' ? track : track.trackId;
}

function notConnected(doing: string): ClientError {
  return new ClientError('invalid_state', `cannot ${doing}: the room was left`);
}

function platformOf(given: Partial<Platform> | undefined): Platform {
  const clock: Clock = given?.clock ?? systemClock;
  return {
    WebSocket: given?.WebSocket ?? globalThis.WebSocket,
    RTCPeerConnection: given?.RTCPeerConnection ?? globalThis.RTCPeerConnection,
    clock,
    random: given?.random ?? Math.random,
  };
}
