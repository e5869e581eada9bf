import { ClientError, connect, type LocalTrack, type RemoteTrack, type Room } from '@orama/client';
import type { CallOptions } from './call-options.ts';
import { type MediaSource, openScreen, openSource } from './media/source.ts';
import { type PageStats, readPageStats } from './page-stats.ts';
import { showToggle, type ToggleId } from './view/controls.ts';
import { element, showMessage } from './view/elements.ts';
import { Grid } from './view/grid.ts';
import { explainError, sentLine, statsLine, trackLine } from './view/texts.ts';

const SELF = 'self';
const STATS_EVERY_MS = 1_000;
const FIRST_FRAME_POLL_MS = 100;

/** A call in progress: the room, our own media, and the page that shows them. */
export class Call {
  readonly room: Room;
  readonly #source: MediaSource;
  readonly #options: CallOptions;
  readonly #grid: Grid;
  readonly #startedAt: number;
  readonly #timers: number[] = [];
  readonly #onEnd: (message: string) => void;
  readonly #abort = new AbortController();
  /** Ends of watching how large a picture is shown, by track. */
  readonly #watched = new Map<string, () => void>();
  #firstFrameMs: number | undefined;
  #soundBlocked = false;

  /**
   * Opens the picture, joins the room and shows the call.
   * @param onEnd called once when the call is over, with a text for the user
   * @throws SourceError when there is no camera, ClientError when the room cannot be joined
   */
  static async start(options: CallOptions, onEnd: (message: string) => void): Promise<Call> {
    const source = await openSource(options.source, options.name);
    const startedAt = performance.now();
    try {
      const room = await connect({
        url: location.origin,
        ...(options.token ? { token: options.token } : { apiKey: options.apiKey }),
        room: options.room,
        name: options.name,
        publish: [source.audio, source.video].flatMap((track) => (track ? [{ track }] : [])),
      });
      return new Call(room, source, options, startedAt, onEnd);
    } catch (thrown) {
      source.stop();
      throw thrown;
    }
  }

  private constructor(
    room: Room,
    source: MediaSource,
    options: CallOptions,
    startedAt: number,
    onEnd: (message: string) => void,
  ) {
    this.room = room;
    this.#source = source;
    this.#options = options;
    this.#startedAt = startedAt;
    this.#onEnd = onEnd;
    this.#grid = new Grid(element('grid'), () => this.#askForSound());
    element('room-name').textContent = room.roomId;
    this.#showSelf();
    this.#listen();
    for (const { peerId, name } of room.participants.values()) this.#grid.add(peerId, name ?? 'guest');
    this.#showPeople();
    this.#timers.push(setInterval(() => void this.#showStats(), STATS_EVERY_MS));
    this.#timers.push(setInterval(() => void this.#lookForFirstFrame(), FIRST_FRAME_POLL_MS));
  }

  stats(): Promise<PageStats> {
    return readPageStats(this.room, this.#firstFrameMs);
  }

  leave(): void {
    this.room.leave();
  }

  #listen(): void {
    const { room } = this;
    room.on('participant-joined', ({ peerId, name }) => {
      this.#grid.add(peerId, name ?? 'guest');
      this.#showPeople();
    });
    room.on('participant-left', ({ peerId }) => {
      this.#grid.remove(peerId);
      this.#showPeople();
    });
    room.on('track-added', (track) => this.#addTrack(track));
    room.on('track-removed', (track) => this.#removeTrack(track));
    room.on('track-updated', (track) => this.#showMuted(track));
    room.on('local-track-updated', () => this.#showOwnState());
    room.on('local-track-removed', (track, reason) => {
      if (track.source === 'screen') this.#grid.remove(`${SELF}/screen`);
      this.#showOwnState();
      if (reason) showMessage(element('banner'), explainError(reason));
    });
    room.on('reconnecting', ({ attempt }) => {
      const again = attempt > 1 ? ` (attempt ${attempt})` : '';
      const action = { label: 'Try now', run: () => room.reconnectNow() };
      showMessage(element('banner'), `The connection was lost. Reconnecting…${again}`, action);
    });
    room.on('reconnected', () => showMessage(element('banner'), ''));
    room.on('disconnected', (reason) => this.#close(reason));
    const onClick = (id: string, run: () => void) =>
      element(id).addEventListener('click', run, { signal: this.#abort.signal });
    onClick('toggle-mic', () => this.#toggle('audio'));
    onClick('toggle-camera', () => this.#toggle('video'));
    onClick('toggle-screen', () => void this.#toggleScreen());
    onClick('leave', () => this.leave());
    // Without this the others would look at a frozen picture until the server gives up waiting for us.
    addEventListener('pagehide', () => this.leave(), { signal: this.#abort.signal });
  }

  #showSelf(): void {
    const isMirrored = this.#options.source === 'camera';
    const tile = this.#grid.add(SELF, this.#options.name, { isSelf: true, isMirrored });
    tile.setVideo(this.#source.video);
    this.#showOwnState();
  }

  #addTrack(track: RemoteTrack): void {
    const { participant, mediaStreamTrack } = track;
    const tile = this.#grid.add(tileKey(track), participant.name ?? 'guest', { isScreen: track.source === 'screen' });
    if (track.kind === 'audio') tile.setAudio(mediaStreamTrack);
    else tile.setVideo(mediaStreamTrack);
    if (track.kind === 'video') this.#watched.set(track.trackId, this.room.watch(track, tile.root));
    if (track.kind === 'video') tile.onNextFrame(() => this.#noteFirstFrame());
    this.#showMuted(track);
  }

  #removeTrack(track: RemoteTrack): void {
    this.#watched.get(track.trackId)?.();
    this.#watched.delete(track.trackId);
    const key = tileKey(track);
    if (key !== track.participant.peerId) this.#grid.remove(key);
    else if (track.kind === 'audio') this.#grid.get(key)?.setAudio(undefined);
    else this.#grid.get(key)?.setVideo(undefined);
  }

  #showMuted(track: RemoteTrack): void {
    const tile = this.#grid.get(tileKey(track));
    if (track.kind === 'audio') tile?.showMuted(track.muted);
    else tile?.showVideo(!track.muted && track.mediaStreamTrack !== undefined);
  }

  #own(kind: 'audio' | 'video' | 'screen'): LocalTrack | undefined {
    return this.room.localTracks.find((track) =>
      kind === 'screen' ? track.source === 'screen' : track.kind === kind && track.source !== 'screen',
    );
  }

  #toggle(kind: 'audio' | 'video'): void {
    const track = this.#own(kind);
    if (!track) return;
    if (track.muted) this.room.unmute(track);
    else this.room.mute(track);
  }

  async #toggleScreen(): Promise<void> {
    const shared = this.#own('screen');
    if (shared) {
      this.room.unpublish(shared);
      shared.mediaStreamTrack.stop();
      return;
    }
    try {
      const track = await openScreen();
      if (!track) return;
      const tile = this.#grid.add(`${SELF}/screen`, this.#options.name, { isSelf: true, isScreen: true });
      tile.setVideo(track);
      await this.room.publish(track, { source: 'screen' });
      this.#showOwnState();
    } catch (thrown) {
      if (!(thrown instanceof ClientError)) showMessage(element('banner'), explainError(thrown));
    }
  }

  #showOwnState(): void {
    const [audio, video] = [this.#own('audio'), this.#own('video')];
    const buttons: [ToggleId, boolean, boolean][] = [
      ['toggle-mic', audio?.muted ?? true, audio !== undefined],
      ['toggle-camera', video?.muted ?? true, video !== undefined],
      ['toggle-screen', this.#own('screen') !== undefined, true],
    ];
    for (const [id, pressed, enabled] of buttons) {
      showToggle(id, pressed);
      element<HTMLButtonElement>(id).disabled = !enabled;
    }
    this.#grid.get(SELF)?.showMuted(audio?.muted ?? true);
    this.#grid.get(SELF)?.showVideo(video !== undefined && !video.muted);
  }

  #showPeople(): void {
    const others = this.room.participants.size;
    element('people').textContent = others === 0 ? 'nobody else is here yet' : `${others + 1} people`;
  }

  async #showStats(): Promise<void> {
    const { participants, pair, outbound } = await this.stats();
    const line = (stats: Parameters<typeof statsLine>[0] | undefined) =>
      stats ? statsLine({ ...stats, rttMs: pair?.rttMs }) : '';
    for (const { peerId, tracks } of participants) {
      for (const stats of tracks) {
        const track = this.room.participants.get(peerId)?.tracks.get(stats.trackId);
        if (track?.kind === 'video') this.#grid.get(tileKey(track))?.showStats(trackLine(track, line(stats)));
      }
    }
    this.#grid.get(SELF)?.showStats(sentLine(line(outbound.video), outbound.video?.layers ?? []));
  }

  /** A hidden page draws no frames, so the statistics are asked too. */
  async #lookForFirstFrame(): Promise<void> {
    if (this.#firstFrameMs !== undefined) return;
    const { inbound } = await this.room.stats();
    if (inbound.some(({ framesDecoded }) => framesDecoded > 0)) this.#noteFirstFrame();
  }

  #noteFirstFrame(): void {
    this.#firstFrameMs ??= Math.round(performance.now() - this.#startedAt);
  }

  #askForSound(): void {
    if (this.#soundBlocked) return;
    this.#soundBlocked = true;
    const run = () => {
      this.#soundBlocked = false;
      showMessage(element('banner'), '');
      this.#grid.unblock(SELF);
    };
    showMessage(element('banner'), 'The browser plays sound only after a click.', { label: 'Turn on sound', run });
  }

  #close(reason: ClientError): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#abort.abort();
    this.#own('screen')?.mediaStreamTrack.stop();
    this.#source.stop();
    for (const unwatch of this.#watched.values()) unwatch();
    this.#grid.close();
    showMessage(element('banner'), '');
    this.#onEnd(reason.code === 'left' ? 'You left the room.' : explainError(reason));
  }
}

/** A screen has a tile of its own; camera and microphone share their participant's. */
function tileKey({ source, participant, trackId }: RemoteTrack): string {
  return source === 'screen' ? `${participant.peerId}/${trackId}` : participant.peerId;
}
