import type { Codec } from '../rtc/codecs.ts';

/** What the payload types of one publisher's m-line mean. */
export class PayloadTypeTable {
  readonly #codecs = new Array<Codec | undefined>(128).fill(undefined);
  /** The payload type that an RTX packet repeats, or -1. */
  readonly #repeats = new Int16Array(128);

  /**
   * Takes over what was agreed.
   * @param current the codec in use, which stays the same object where it is agreed again: it is compared by that
   */
  learn(codecs: readonly Codec[], current: Codec): void {
    this.#codecs.fill(undefined);
    this.#repeats.fill(-1);
    for (const codec of codecs) {
      this.#codecs[codec.payloadType] = codec.key === current.key ? current : codec;
      if (codec.rtxPayloadType !== undefined) this.#repeats[codec.rtxPayloadType] = codec.payloadType;
    }
  }

  codec(payloadType: number): Codec | undefined {
    return this.#codecs[payloadType];
  }

  /** The payload type of what a packet repeats (RFC 4588); -1 for one that repeats none. */
  repeated(payloadType: number): number {
    return this.#repeats[payloadType] as number;
  }
}
