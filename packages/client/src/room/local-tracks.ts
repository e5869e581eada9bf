import type { ClientFrame, ServerFrame } from '@orama/protocol';
import { ClientError } from '../errors.ts';
import { LocalTrack, type PublishOptions } from '../media/local-track.ts';

interface Waiting {
  resolve(track: LocalTrack): void;
  reject(error: ClientError): void;
}

export interface LocalTracksHandlers {
  send(frame: ClientFrame): void;
  /** Muted or unmuted; `forced` when the room's owner did it. */
  onUpdated(track: LocalTrack, change: { forced: boolean }): void;
  onRemoved(track: LocalTrack, reason: ClientError | undefined): void;
  /** The MediaStreamTrack ended while it was published. */
  onEnded(track: LocalTrack): void;
}

/** The tracks that we publish, through every reconnect, and who waits for them to be accepted. */
export class LocalTracks {
  readonly #tracks = new Map<LocalTrack, Waiting>();
  readonly #handlers: LocalTracksHandlers;

  constructor(handlers: LocalTracksHandlers) {
    this.#handlers = handlers;
  }

  get all(): readonly LocalTrack[] {
    return [...this.#tracks.keys()];
  }

  /** `published` settles when the server has taken it or refused it. */
  add(track: MediaStreamTrack, options: PublishOptions | undefined) {
    const local = new LocalTrack(track, options);
    const { promise: published, resolve, reject } = Promise.withResolvers<LocalTrack>();
    // Whoever published with connect() has no promise to look at; refusals reach them as an event.
    published.catch(() => {});
    this.#tracks.set(local, { resolve, reject });
    track.addEventListener('ended', () => this.#tracks.has(local) && this.#handlers.onEnded(local), { once: true });
    return { local, published };
  }

  /** The server has taken it. */
  accept(track: LocalTrack): void {
    this.#tracks.get(track)?.resolve(track);
  }

  /** @param reason the server's, when it refused it */
  remove(track: LocalTrack, reason: ClientError | undefined): void {
    const waiting = this.#tracks.get(track);
    if (!waiting) return;
    this.#tracks.delete(track);
    waiting.reject(reason ?? new ClientError('left', 'the track was unpublished before it was accepted'));
    this.#handlers.onRemoved(track, reason);
  }

  setMuted(track: LocalTrack, muted: boolean, forced = false): void {
    if (!this.#tracks.has(track) || track.muted === muted) return;
    track.muted = muted;
    track.mediaStreamTrack.enabled = !muted;
    // A forced one as well: when it is lifted we are muted still, until somebody here unmutes.
    if (track.trackId !== undefined) this.#handlers.send({ type: 'track-state', trackId: track.trackId, muted });
    this.#handlers.onUpdated(track, { forced });
  }

  /**
   * The server announces our own tracks to us as well: that is how we learn their ids.
   * @param sentOn the track that we send on an m-line
   */
  follow(frame: ServerFrame, sentOn: (mid: string) => LocalTrack | undefined): void {
    if (frame.type === 'track-added') {
      const track = sentOn(frame.mid);
      if (!track) return;
      track.trackId = frame.trackId;
      if (frame.muted !== track.muted)
        this.#handlers.send({ type: 'track-state', trackId: frame.trackId, muted: track.muted });
    } else if (frame.type === 'track-updated') {
      const track = this.all.find(({ trackId }) => trackId === frame.trackId);
      if (track && frame.forced) this.setMuted(track, frame.muted, true);
    }
  }

  /** The media session is gone: in the next one they get other ids. */
  forgetIds(): void {
    for (const track of this.#tracks.keys()) track.trackId = undefined;
  }

  /** The room was left: nobody will take them. */
  end(reason: ClientError): void {
    for (const waiting of this.#tracks.values()) waiting.reject(reason);
    this.#tracks.clear();
  }
}
