import type { ServerFrame, TurnCredentials } from '@orama/protocol';
import type { Timer } from '../clock.ts';
import { ClientError, describeError } from '../errors.ts';
import { type IcePath, otherPath } from '../media/ice-path.ts';
import { type MediaHandlers, MediaSession } from '../media/media-session.ts';
import { type RoomStats, StatsReader } from '../media/stats.ts';
import type { Platform } from './options.ts';
import type { RemoteTrack } from './participants.ts';

/** Where clients may send without TURN, the connection does not wait longer than this for credentials. */
const CREDENTIALS_WAIT_MS = 1_000;

export interface RoomMediaHandlers extends MediaHandlers {
  /** There is a session, and nothing in it yet. */
  onOpen(session: MediaSession): void;
  /** The browser opens none at all. */
  onCannotOpen(error: ClientError): void;
  onWarning(error: { code: string; message: string }): void;
}

/** The media session of a room: opened when there is what it needs, and another one after each that failed. */
export class RoomMedia {
  readonly #platform: Platform;
  readonly #channels: boolean;
  readonly #handlers: RoomMediaHandlers;
  #session: MediaSession | undefined;
  /** Undefined while we are in no room. */
  #forceRelay: boolean | undefined;
  #credentials: TurnCredentials | undefined;
  #credentialsTimer: Timer | undefined;
  /** What the next attempt at media uses of TURN. */
  #path: IcePath = 'udp';
  #statsReader = new StatsReader();

  /** @param channels whether sessions have data channels */
  constructor(platform: Platform, channels: boolean, handlers: RoomMediaHandlers) {
    this.#platform = platform;
    this.#channels = channels;
    this.#handlers = {
      ...handlers,
      onFailed: (error, wasConnected) => {
        if (!wasConnected) this.#path = otherPath(this.#path);
        handlers.onFailed(error, wasConnected);
      },
    };
  }

  get session(): MediaSession | undefined {
    return this.#session;
  }

  /** We are in the room: a session is opened with its first credentials, or soon without, where that may be. */
  expect(forceRelay: boolean): void {
    this.#forceRelay = forceRelay;
    if (!forceRelay) this.#credentialsTimer = this.#platform.clock.after(CREDENTIALS_WAIT_MS, () => this.#open());
  }

  useCredentials(credentials: TurnCredentials): void {
    this.#credentials = credentials;
    if (!this.#session) {
      this.#open();
      return;
    }
    try {
      this.#session.refreshCredentials(credentials);
    } catch (thrown) {
      // A browser refuses addresses it does not like, for example with a port that it blocks.
      this.#handlers.onWarning({ code: 'media_failed', message: describeError(thrown) });
    }
  }

  /** False when the frame is none of the session's. */
  receive(frame: ServerFrame): boolean {
    if (!this.#session && frame.type === 'offer') this.#open();
    return this.#session?.receive(frame) ?? false;
  }

  /** See `Room.stats()`. @param trackOf the received track of an m-line, or of the browser's own name */
  async stats(
    trackOf: (mid: string | undefined, trackIdentifier: string | undefined) => RemoteTrack | undefined,
  ): Promise<RoomStats> {
    const session = this.#session;
    const report = await session?.pc.getStats().catch(() => undefined);
    if (!session || !report) return { pair: undefined, inbound: [], outbound: [] };
    return this.#statsReader.read(report as unknown as Iterable<[string, unknown]>, {
      inbound: (mid, trackIdentifier) => {
        const track = trackOf(mid, trackIdentifier);
        return track && { trackId: track.trackId, peerId: track.participant.peerId };
      },
      outbound: (mid) => {
        const track = mid === undefined ? undefined : session.sentOn(mid);
        return track && { trackId: track.trackId, source: track.source };
      },
    });
  }

  /** Ends the session; there is none until `expect`. */
  drop(): void {
    this.#credentialsTimer?.cancel();
    this.#session?.close();
    this.#session = undefined;
    this.#credentials = undefined;
    this.#forceRelay = undefined;
  }

  #open(): void {
    this.#credentialsTimer?.cancel();
    const forceRelay = this.#forceRelay;
    if (this.#session || forceRelay === undefined) return;
    this.#statsReader = new StatsReader();
    const options = { forceRelay, path: this.#path, channels: this.#channels };
    try {
      this.#session = new MediaSession(this.#platform, this.#credentials, options, this.#handlers);
    } catch (thrown) {
      const message = `the browser cannot open a media connection: ${describeError(thrown)}`;
      this.#handlers.onCannotOpen(new ClientError('media_failed', message, { cause: thrown }));
      return;
    }
    this.#handlers.onOpen(this.#session);
  }
}
