import { initialsOf } from './texts.ts';

/** One picture in the grid: a participant, or a screen they share. */
export class Tile {
  readonly root: HTMLElement;
  readonly #video: HTMLVideoElement;
  readonly #stats: HTMLElement;
  readonly #mutedMark: Element;
  #videoTrack: MediaStreamTrack | undefined;
  #audioTrack: MediaStreamTrack | undefined;

  /** @param onBlocked called when the browser refuses to play sound without a click */
  constructor(name: string, kind: { isSelf: boolean; isScreen: boolean; isMirrored: boolean }, onBlocked: () => void) {
    const template = document.getElementById('tile') as HTMLTemplateElement;
    this.root = (template.content.cloneNode(true) as DocumentFragment).firstElementChild as HTMLElement;
    const find = <T extends Element>(selector: string) => this.root.querySelector(selector) as T;
    this.#video = find('video');
    this.#stats = find('.stats');
    this.#mutedMark = find('.muted-mark');
    const label = `${name}${kind.isSelf ? ' (you)' : ''}${kind.isScreen ? ' – screen' : ''}`;
    find('.name').textContent = label;
    find('.avatar').textContent = initialsOf(name);
    this.root.setAttribute('aria-label', label);
    this.root.classList.toggle('screen', kind.isScreen);
    this.root.classList.toggle('mirrored', kind.isMirrored);
    this.root.classList.add('no-video');
    // Nobody wants to hear themselves.
    this.#video.muted = kind.isSelf;
    this.#video.addEventListener('canplay', () => this.play(onBlocked));
  }

  /** Starts playing; what the browser refuses without a click is muted until then. */
  play(onBlocked: () => void): void {
    this.#video.play().catch((thrown: unknown) => {
      if (!(thrown instanceof DOMException) || thrown.name !== 'NotAllowedError' || this.#video.muted) return;
      this.#video.muted = true;
      this.#video.play().catch(() => {});
      onBlocked();
    });
  }

  /** After a click: plays with sound. */
  unblock(): void {
    this.#video.muted = false;
    this.play(() => {});
  }

  setVideo(track: MediaStreamTrack | undefined): void {
    this.showVideo(track !== undefined);
    if (track === this.#videoTrack) return;
    this.#videoTrack = track;
    this.#attach();
  }

  setAudio(track: MediaStreamTrack | undefined): void {
    if (track === this.#audioTrack) return;
    this.#audioTrack = track;
    this.#attach();
  }

  /** Shows the picture, or the initials in its place. */
  showVideo(shown: boolean): void {
    this.root.classList.toggle('no-video', !shown);
  }

  showMuted(muted: boolean): void {
    this.#mutedMark.toggleAttribute('hidden', !muted);
  }

  showStats(line: string): void {
    if (this.#stats.textContent !== line) this.#stats.textContent = line;
  }

  /** Calls `onFrame` when the next frame is on the screen. */
  onNextFrame(onFrame: () => void): void {
    if ('requestVideoFrameCallback' in this.#video) this.#video.requestVideoFrameCallback(onFrame);
  }

  remove(): void {
    this.#video.srcObject = null;
    this.root.remove();
  }

  // Always a stream of its own: Chromium now and then never starts one whose tracks come while it is being loaded.
  #attach(): void {
    const tracks = [this.#audioTrack, this.#videoTrack].filter((track) => track !== undefined);
    this.#video.srcObject = tracks.length === 0 ? null : new MediaStream(tracks);
  }
}
