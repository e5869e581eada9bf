import { ridsOf } from './encodings.ts';
import type { LocalTrack } from './local-track.ts';

/**
 * The parameters of one RTCRtpSender: what the application asked for, and which simulcast layers somebody watches. A
 * browser refuses `setParameters` while another call is under way or when the parameters were read before it, so there is
 * one writer, which reads, changes and writes again until everything that was asked for meanwhile is in.
 */
export class SenderParameters {
  readonly #sender: RTCRtpSender;
  #encodings: readonly RTCRtpEncodingParameters[];
  #degradationPreference: RTCDegradationPreference;
  /** Layers that somebody watches; null while nobody said. */
  #watched: ReadonlySet<string> | null = null;
  #isWriting = false;
  #isStale = false;

  /** @param encodings those of the track, one for each that the sender has */
  constructor(sender: RTCRtpSender, track: LocalTrack, encodings: readonly RTCRtpEncodingParameters[]) {
    this.#sender = sender;
    this.#encodings = encodings;
    this.#degradationPreference = track.degradationPreference;
  }

  /** Layers that somebody watches: all others stop until they are named again. */
  watch(rids: readonly string[]): void {
    if (ridsOf(this.#encodings).length === 0) return;
    this.#watched = new Set(rids);
    this.apply();
  }

  /** Writes what was asked for; a browser that does not know a field ignores it or refuses, both harmless. */
  apply(): void {
    this.#isStale = true;
    if (!this.#isWriting) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#isStale) {
      this.#isStale = false;
      const parameters = this.#sender.getParameters();
      for (const [index, encoding] of parameters.encodings.entries()) this.#change(encoding, index);
      parameters.degradationPreference = this.#degradationPreference;
      await this.#sender.setParameters(parameters).catch(() => {});
    }
    this.#isWriting = false;
  }

  #change(encoding: RTCRtpEncodingParameters, index: number): void {
    const wanted =
      this.#encodings.find(({ rid }) => rid !== undefined && rid === encoding.rid) ?? this.#encodings[index];
    if (!wanted) return;
    if (wanted.maxBitrate !== undefined) encoding.maxBitrate = wanted.maxBitrate;
    if (wanted.scaleResolutionDownBy !== undefined) encoding.scaleResolutionDownBy = wanted.scaleResolutionDownBy;
    if (encoding.rid !== undefined) encoding.active = this.#watched?.has(encoding.rid) ?? true;
  }
}
