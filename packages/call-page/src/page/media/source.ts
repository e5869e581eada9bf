import type { SourceKind } from '../call-options.ts';
import { openSynthetic } from './synthetic.ts';

/** Tracks to publish, and how to stop making them. */
export interface MediaSource {
  video: MediaStreamTrack | undefined;
  audio: MediaStreamTrack | undefined;
  stop(): void;
}

/** A camera or microphone that cannot be had, in words for its user. */
export class SourceError extends Error {}

export async function openSource(kind: SourceKind, name: string): Promise<MediaSource> {
  return kind === 'synthetic' ? openSynthetic(name) : await openCamera();
}

async function openCamera(): Promise<MediaSource> {
  if (!navigator.mediaDevices) {
    throw new SourceError('This browser gives the camera only to pages served over HTTPS.');
  }
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  try {
    return sourceOf(await navigator.mediaDevices.getUserMedia({ video, audio: true }));
  } catch (thrown) {
    throw new SourceError(explain(thrown), { cause: thrown });
  }
}

/** Asks for a screen or window. Undefined when the user changed their mind. */
export async function openScreen(): Promise<MediaStreamTrack | undefined> {
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15 } } });
    return stream.getVideoTracks()[0];
  } catch (thrown) {
    if (thrown instanceof DOMException && (thrown.name === 'NotAllowedError' || thrown.name === 'AbortError')) return;
    throw new SourceError('The screen could not be shared.', { cause: thrown });
  }
}

export function canShareScreen(): boolean {
  return typeof navigator.mediaDevices?.getDisplayMedia === 'function';
}

function sourceOf(stream: MediaStream): MediaSource {
  return {
    video: stream.getVideoTracks()[0],
    audio: stream.getAudioTracks()[0],
    stop: () => {
      for (const track of stream.getTracks()) track.stop();
    },
  };
}

function explain(thrown: unknown): string {
  const name = thrown instanceof DOMException ? thrown.name : '';
  if (name === 'NotAllowedError') return 'The browser was not allowed to use the camera and microphone.';
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'No camera or microphone was found.';
  if (name === 'NotReadableError' || name === 'AbortError') return 'The camera or microphone is in use elsewhere.';
  return 'The camera and microphone could not be opened.';
}
