import { PlayoutDelay, readPictures } from './playout-delay.ts';

/** What one RTCPeerConnection receives: how long it waits for pictures on paths that lose packets. */
export class Receivers {
  readonly #pc: RTCPeerConnection;
  readonly #delays = new WeakMap<MediaStreamTrack, PlayoutDelay>();

  constructor(pc: RTCPeerConnection) {
    this.#pc = pc;
  }

  /** Adapts to an RTCStatsReport; call it once a second. */
  adapt(report: Iterable<[string, unknown]>): void {
    const pictures = readPictures(report);
    if (pictures.size === 0) return;
    for (const { mid, receiver } of this.#pc.getTransceivers()) {
      const reading = mid === null ? undefined : pictures.get(mid);
      // Not every browser can be told.
      if (!reading || !('jitterBufferTarget' in receiver)) continue;
      const delay = this.#delayOf(receiver.track);
      const targetMs = delay.next(reading);
      if (receiver.jitterBufferTarget !== targetMs) receiver.jitterBufferTarget = targetMs;
    }
  }

  #delayOf(track: MediaStreamTrack): PlayoutDelay {
    const known = this.#delays.get(track);
    if (known) return known;
    const delay = new PlayoutDelay();
    this.#delays.set(track, delay);
    return delay;
  }
}
