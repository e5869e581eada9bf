import { PICTURE_MAX_PIXELS, type TrackLayer } from '@orama/protocol';
import type { PayloadView } from '../rtp/codecs/payload.ts';
import { EXTENSION, findExtension } from '../rtp/extensions.ts';
import type { RtpView } from '../rtp/header.ts';
import type { Encoding } from './encoding.ts';

/** The encodings of one publication: in order, by SSRC and by name. */
export class EncodingTable {
  /** From the smallest picture up, as far as sizes are known. */
  readonly list: Encoding[];
  /** The publisher's ids of the elements that name a stream (RFC 8852); 0 without. */
  #ridId = 0;
  #repairedRidId = 0;
  /** All sizes were known once: an encoder that scales down for a while changes the order no more. */
  #ordered = false;

  /** @param encodings at least one */
  constructor(encodings: Encoding[]) {
    this.list = encodings;
    this.#number();
  }

  /** How others see the layers; empty without simulcast. */
  get layers(): TrackLayer[] {
    return this.list.flatMap(({ rid, width, height }) =>
      rid === undefined ? [] : [{ rid, ...(width > 0 && height > 0 ? { width, height } : {}) }],
    );
  }

  /** Names of the simulcast layers, in order. */
  get rids(): string[] {
    return this.list.flatMap(({ rid }) => (rid === undefined ? [] : [rid]));
  }

  /**
   * What can be sent in place of an encoding that is silent now: the best that flows below it, else the least above it;
   * null where nothing flows.
   */
  substitute(silent: Encoding, nowMs: number): Encoding | null {
    for (let i = silent.index - 1; i >= 0; i--) if (this.list[i]?.isFlowing(nowMs)) return this.list[i] as Encoding;
    return this.list.find((encoding) => encoding.index > silent.index && encoding.isFlowing(nowMs)) ?? null;
  }

  /** A picture of the smallest encoding came: the others have missed it until something of them comes. The hot path. */
  countPicture(): void {
    const { list } = this;
    for (let i = 1; i < list.length; i++) (list[i] as Encoding).missedPictures++;
  }

  /** Whose media or retransmissions come under `ssrc`; null for an unknown one. The hot path. */
  find(ssrc: number): Encoding | null {
    const { list } = this;
    for (let i = 0; i < list.length; i++) {
      const encoding = list[i] as Encoding;
      if (encoding.ssrc === ssrc || encoding.rtxSsrc === ssrc) return encoding;
    }
    return null;
  }

  /** The encoding of that rid; with undefined the only one of a track without simulcast. */
  named(rid: string | undefined): Encoding | undefined {
    return this.list.find((encoding) => encoding.rid === rid);
  }

  /** @param extensions as agreed with the publisher, by its own ids */
  learnExtensions(extensions: readonly { value: number; uri: string }[]): void {
    const idOf = (wanted: string) => extensions.find(({ uri }) => uri === wanted)?.value ?? 0;
    this.#ridId = idOf(EXTENSION.rid);
    this.#repairedRidId = idOf(EXTENSION.repairedRid);
  }

  /**
   * Whose packet it is that came under an unknown SSRC: that of the rid it carries, or of the only encoding.
   * @param view as read by `readRtp`, its extension elements not renumbered yet
   */
  nameStranger(packet: Buffer, view: RtpView, isRepeat: boolean): Encoding | null {
    const [only] = this.list;
    if (only?.rid === undefined) return only ?? null;
    const id = isRepeat ? this.#repairedRidId : this.#ridId;
    const at = id > 0 ? findExtension(packet, view, id) : -1;
    return this.list.find(({ rid }) => rid !== undefined && at >= 0 && elementIs(packet, view, at, rid)) ?? null;
  }

  /** Notes the sizes that a key frame tells, of all spatial layers inside it; sizes that nobody may be told are none. */
  learnSizes(encoding: Encoding, { spatialLayers, widths, heights }: PayloadView): void {
    if (spatialLayers === 0) return;
    const width = widths[spatialLayers - 1] as number;
    const height = heights[spatialLayers - 1] as number;
    if (width > PICTURE_MAX_PIXELS || height > PICTURE_MAX_PIXELS) return;
    if (width === encoding.width && height === encoding.height && encoding.sizes.length === spatialLayers) return;
    encoding.sizes = Array.from({ length: spatialLayers }, (_, i) => ({
      width: widths[i] as number,
      height: heights[i] as number,
    }));
    this.resize(encoding, width, height);
  }

  /** Notes a picture's size. Once all are known they give the order. */
  resize(encoding: Encoding, width: number, height: number): void {
    encoding.width = width;
    encoding.height = height;
    if (this.#ordered || !this.list.every((other) => other.width > 0)) return;
    this.#ordered = true;
    this.list.sort((one, other) => one.width * one.height - other.width * other.height);
    this.#number();
  }

  /** Takes over an order that the publisher told, while sizes do not say otherwise. */
  order(rids: readonly string[]): void {
    if (this.#ordered) return;
    const placeOf = ({ rid }: Encoding) => (rid !== undefined && rids.includes(rid) ? rids.indexOf(rid) : rids.length);
    this.list.sort((one, other) => placeOf(one) - placeOf(other));
    this.#number();
  }

  #number(): void {
    this.list.forEach((encoding, index) => {
      encoding.index = index;
    });
  }
}

// Names have up to 16 characters; the element's length stands in the byte before its data, in both header forms.
function elementIs(packet: Buffer, view: RtpView, at: number, rid: string): boolean {
  const head = packet[at - 1] as number;
  const bytes = view.extensionProfile === 0xbede ? (head & 15) + 1 : head;
  return bytes === rid.length && packet.toString('latin1', at, at + bytes) === rid;
}
