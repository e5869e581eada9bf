import type { RoomPermissions, ServerFrame, ServerFrameOf } from '@orama/protocol';
import type { Timer } from '../clock.ts';
import { Emitter } from '../emitter.ts';
import { ClientError } from '../errors.ts';
import type { LocalTrack, PublishOptions } from '../media/local-track.ts';
import type { RoomStats } from '../media/stats.ts';
import { type ChannelOptions, Channels, type ReceivedChannel } from './channels.ts';
import { Connection } from './connection.ts';
import { watchElement } from './element-watch.ts';
import { LocalTracks } from './local-tracks.ts';
import { type ConnectOptions, type Platform, platformOf } from './options.ts';
import {
  type ParticipantChange,
  Participants,
  type ReceivedTrack,
  type RemoteParticipant,
  type RemoteTrack,
} from './participants.ts';
import { DEFAULT_RECONNECT_POLICY } from './reconnect-policy.ts';
import type { QualityLimit, RoomEvents, RoomState, SubscriptionOptions } from './room-events.ts';
import { RoomMedia } from './room-media.ts';
import { requireData, requireDescription } from './said.ts';
import { Wishes } from './wishes.ts';

const STATS_EVERY_MS = 1_000;
const WITHOUT_CHANNELS =
  'this room was joined without data channels: leave `channels: false` out of connect(), or use sendData()';

const MAX_LAYERS: Readonly<Record<QualityLimit, number | undefined>> = { low: 0, medium: 1, high: undefined };

/** A room we are in. Made by `connect()`. */
export class Room extends Emitter<RoomEvents> {
  readonly roomId: string;
  readonly #platform: Platform;
  readonly #connection: Connection;
  readonly #participants = new Participants((change) => this.#onChange(change));
  readonly #tracks: LocalTracks;
  readonly #media: RoomMedia;
  readonly #channels = new Channels();
  readonly #hasChannels: boolean;
  /** What we say of ourselves when we join. */
  readonly #self: Pick<ConnectOptions, 'name' | 'metadata'>;
  readonly #joined = Promise.withResolvers<void>();
  readonly #statsTimer: Timer;
  readonly #wishes: Wishes;
  #state: RoomState = 'connecting';
  #peerId = '';
  #welcome: ServerFrameOf<'welcome'> | undefined;

  /** @internal use `connect()` */
  constructor(options: ConnectOptions) {
    super();
    this.roomId = options.room;
    this.#platform = platformOf(options.platform);
    this.#wishes = new Wishes(this.#platform.clock, (frame) => this.#connection.send(frame));
    this.#tracks = new LocalTracks({
      send: (frame) => this.#connection.send(frame),
      onUpdated: (track, change) => this.emit('local-track-updated', track, change),
      onRemoved: (track, reason) => this.emit('local-track-removed', track, reason),
      onEnded: (track) => this.unpublish(track),
    });
    this.#hasChannels = options.channels ?? true;
    this.#media = this.#prepareMedia();
    for (const { track, options: publishOptions } of options.publish ?? []) this.#tracks.add(track, publishOptions);
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
    return this.#tracks.all;
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
    const { local, published } = this.#tracks.add(track, options);
    this.#media.session?.publish([local]);
    return published;
  }

  /** Takes a track out of the room. The MediaStreamTrack itself goes on; stop it when nobody needs it. */
  unpublish(track: LocalTrack): void {
    this.#tracks.remove(track, undefined);
    this.#media.session?.unpublish(track);
  }

  /** Sends black or silence instead, and tells the others. */
  mute(track: LocalTrack): void {
    this.#tracks.setMuted(track, true);
  }

  unmute(track: LocalTrack): void {
    this.#tracks.setMuted(track, false);
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

  /** Sends JSON of at most 16 KB to everybody, or to one peer. @throws ClientError when it is not that */
  sendData(data: unknown, options: { to?: RemoteParticipant | string } = {}): void {
    const to = typeof options.to === 'object' ? options.to.peerId : options.to;
    requireData(data, to);
    this.#connection.send({ type: 'data', data, ...(to === undefined ? {} : { to }) });
  }

  /**
   * Opens a data channel to everybody else, who get it as a `channel` event, or to one peer, who can answer on it.
   * Resolves when it is open. It ends with the media session: after a `reconnected` that did not resume, open another.
   */
  openChannel(label: string, options: ChannelOptions = {}): Promise<RTCDataChannel> {
    if (this.#state === 'disconnected') return Promise.reject(notConnected('open a channel'));
    if (!this.#hasChannels) return Promise.reject(new ClientError('invalid_argument', WITHOUT_CHANNELS));
    return this.#channels.open(label, options);
  }

  /**
   * Changes the name or the metadata that the others see; what is left out stays as it is.
   * @throws ClientError when the name is longer than 128 characters or the metadata larger than 4 KB as JSON
   */
  describeSelf(change: { name?: string; metadata?: Record<string, unknown> }): void {
    requireDescription(change);
    Object.assign(this.#self, change);
    this.#connection.send({ type: 'peer-state', ...change });
  }

  /** What is sent and received right now, and on which path. Bit rates are since the call before. */
  stats(): Promise<RoomStats> {
    return this.#media.stats((mid, name) => this.#participants.trackOf(mid, name));
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

  #onWelcome(welcome: ServerFrameOf<'welcome'>): void {
    const isFirst = this.#welcome === undefined;
    this.#welcome = welcome;
    this.#peerId = welcome.peerId;
    if (!welcome.resumed) this.#wishes.clear();
    this.#participants.replace(welcome.participants, welcome.resumed ? 'left' : 'reconnected');
    this.#wishes.resume();
    const { session } = this.#media;
    if (welcome.resumed && session) {
      session.resume();
      this.#connection.markHealthy();
      this.#back(true);
      return;
    }
    this.#dropMedia();
    this.#media.expect(welcome.forceRelay);
    if (isFirst) {
      this.#state = 'connected';
      this.#joined.resolve();
    }
    const mediaExpected = this.#tracks.all.length > 0 || welcome.participants.some(({ tracks }) => tracks.length > 0);
    if (!mediaExpected) {
      this.#connection.markHealthy();
      this.#back(false);
    }
  }

  #onFrame(frame: ServerFrame): void {
    if (frame.type === 'turn-credentials' || frame.type === 'refresh-credentials') {
      const { uris, username, password, ttl } = frame;
      this.#media.useCredentials({ uris, username, password, ttl });
    } else if ('peerId' in frame && frame.peerId === this.#peerId) {
      this.#tracks.follow(frame, (mid) => this.#media.session?.sentOn(mid));
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
    } else if (!this.#media.receive(frame) && frame.type === 'error') {
      this.#warn(frame);
    }
  }

  #prepareMedia(): RoomMedia {
    return new RoomMedia(this.#platform, this.#hasChannels, {
      send: (frame) => this.#connection.send(frame),
      onOpen: (session) => {
        this.#channels.use((label, init) => session.openChannel(label, init));
        session.publish(this.localTracks);
      },
      onCannotOpen: (error) => {
        this.#connection.close();
        this.#end(error);
      },
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
      onPublished: (track) => this.#tracks.accept(track),
      onRefused: (track, error) => this.#tracks.remove(track, error),
      onRestart: (error) => this.#warn({ code: error.code, message: `${error.message}: looking for another` }),
      onUnrelatedError: (frame) => this.#warn(frame),
      onWarning: (error) => this.#warn(error),
      onFailed: (error) => this.#connection.rejoin(error),
    });
  }

  #warn({ code, message }: { code: string; message: string }): void {
    this.emit('warning', { code, message });
  }

  #bindTracks(): void {
    const { session } = this.#media;
    if (session) this.#participants.bind((mid) => session.receiving(mid));
  }

  #dropMedia(): void {
    this.#channels.pause();
    this.#media.drop();
    this.#tracks.forgetIds();
  }

  #onLost(reason: ClientError, attempt: number): void {
    if (this.#state === 'connecting') return;
    this.#media.session?.suspend();
    this.#wishes.pause();
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
    this.#tracks.end(reason);
    this.#joined.reject(reason);
    this.emit('disconnected', reason);
  }

  async #emitStats(): Promise<void> {
    if (this.#media.session && this.listenerCount('stats') > 0) this.emit('stats', await this.stats());
  }
}

function trackIdOf(track: RemoteTrack | string): string {
  return typeof track === 'string' ? track : track.trackId;
}

function notConnected(doing: string): ClientError {
  return new ClientError('invalid_state', `cannot ${doing}: the room was left`);
}
