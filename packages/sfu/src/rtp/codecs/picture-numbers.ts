import { readUint16, sequenceDistance, writeUint16 } from '../header.ts';
import type { PayloadView } from './payload.ts';

/** So many pictures back a late packet or a retransmission still finds its number: no more than half of what 7 bits count. */
const REMEMBERED = 64;
/** A step back by so many pictures is no late packet: the publisher counts anew. */
const RESTARTED = 1024;
const NONE = -1;

/**
 * The picture numbers of one subscriber: they go on without a gap or a step back while the streams behind them change and,
 * where a decoder takes a gap for a loss, while pictures are left out. All numbers of a packet are overwritten, so that
 * subscribers may share its buffer: `payload` keeps the publisher's, and `restoreNumbers` writes them back.
 */
export class PictureNumbers {
  readonly #closesGaps: boolean;
  /** By the low bits of an incoming picture id: that id and the one it goes out under, `NONE` when it is left out. */
  readonly #incoming = new Int32Array(REMEMBERED).fill(NONE);
  readonly #outgoing = new Int32Array(REMEMBERED);
  #switching = true;
  #bits = 0;
  /** The newest incoming picture id. */
  #newest = NONE;
  /** Added to incoming numbers. */
  #pictureDelta = 0;
  #tl0Delta = 0;
  #keyDelta = 0;
  #frameDelta = 0;
  /** The newest numbers that went out. */
  #lastPicture = NONE;
  #lastTl0 = NONE;
  #lastKey = NONE;
  #lastFrame = NONE;

  /** @param codec as in SDP. VP8's picture ids count what was sent; where pictures name each other by such numbers, gaps stay */
  constructor(codec: string) {
    this.#closesGaps = codec.toLowerCase() === 'vp8';
  }

  /** The next wanted packet begins another stream, or the same after a pause: it continues the numbers. */
  switchStream(): void {
    this.#switching = true;
  }

  /**
   * Writes the subscriber's numbers over those of a packet, in place.
   * @param wanted whether it is to be sent; for VP8 the first answer for a picture holds for all its packets, and a late
   * picture whose number is already kept free is wanted
   * @returns false when the packet is not to be sent
   */
  rewrite(packet: Uint8Array, payload: PayloadView, wanted: boolean): boolean {
    const { pictureId } = payload;
    if (this.#switching || payload.pictureIdBits !== this.#bits) {
      if (!wanted) return false;
      this.#align(payload);
    } else if (pictureId !== NONE) {
      const ahead = distance(this.#newest, pictureId, this.#bits);
      if (ahead > 0) this.#advance(pictureId, ahead, wanted);
      else if (ahead <= -RESTARTED || (payload.startsKeyFrame && !this.#knows(pictureId))) {
        if (!wanted) return false;
        this.#align(payload);
      }
    }
    if (!wanted && (!this.#closesGaps || pictureId === NONE)) return false;
    if (!this.repeat(packet, payload)) return false;
    this.#noteLast(packet, payload);
    return true;
  }

  /**
   * Writes over a packet that is sent once more.
   * @returns false when its picture was left out, or sent so long ago or from another stream that nobody needs it any more
   */
  repeat(packet: Uint8Array, payload: PayloadView): boolean {
    if (this.#switching) return false;
    const { pictureId } = payload;
    if (pictureId !== NONE) {
      if (!this.#knows(pictureId)) return false;
      const outgoing = this.#outgoing[pictureId % REMEMBERED] as number;
      if (outgoing === NONE) return false;
      if (payload.pictureIdBits === 7) packet[payload.pictureIdAt] = outgoing;
      else writeUint16(packet, payload.pictureIdAt, 0x8000 | outgoing);
    }
    if (payload.tl0PicIdx !== NONE) packet[payload.tl0PicIdxAt] = payload.tl0PicIdx + this.#tl0Delta;
    if (payload.keyIdx !== NONE) {
      const rest = (packet[payload.keyIdxAt] as number) & 0xe0;
      packet[payload.keyIdxAt] = rest | ((payload.keyIdx + this.#keyDelta) & 0x1f);
    }
    if (payload.frameNumber !== NONE)
      writeUint16(packet, payload.frameNumberAt, payload.frameNumber + this.#frameDelta);
    return true;
  }

  /** Whether a picture is one of those that are not sent. */
  leavesOut({ pictureId }: PayloadView): boolean {
    if (this.#switching || pictureId === NONE || !this.#knows(pictureId)) return false;
    return this.#outgoing[pictureId % REMEMBERED] === NONE;
  }

  #align(payload: PayloadView): void {
    this.#switching = false;
    this.#bits = payload.pictureIdBits;
    this.#newest = payload.pictureId;
    this.#pictureDelta = follow(this.#lastPicture, payload.pictureId);
    this.#tl0Delta = follow(this.#lastTl0, payload.tl0PicIdx);
    this.#keyDelta = follow(this.#lastKey, payload.keyIdx);
    this.#frameDelta = follow(this.#lastFrame, payload.frameNumber);
    this.#incoming.fill(NONE);
    if (payload.pictureId !== NONE) this.#remember(payload.pictureId, true);
  }

  /** A picture ahead of all others: those that are missing in between may still come, and keep their numbers. */
  #advance(pictureId: number, ahead: number, wanted: boolean): void {
    const mask = (1 << this.#bits) - 1;
    if (ahead > REMEMBERED) this.#incoming.fill(NONE);
    for (let back = Math.min(ahead, REMEMBERED) - 1; back > 0; back--) this.#remember((pictureId - back) & mask, true);
    this.#newest = pictureId;
    const sent = wanted || !this.#closesGaps;
    this.#remember(pictureId, sent);
    if (!sent) this.#pictureDelta--;
  }

  #remember(pictureId: number, sent: boolean): void {
    const slot = pictureId % REMEMBERED;
    const mask = (1 << this.#bits) - 1;
    this.#incoming[slot] = pictureId;
    this.#outgoing[slot] = sent ? (pictureId + this.#pictureDelta) & mask : NONE;
  }

  #knows(pictureId: number): boolean {
    return (
      distance(this.#newest, pictureId, this.#bits) > -REMEMBERED &&
      this.#incoming[pictureId % REMEMBERED] === pictureId
    );
  }

  #noteLast(packet: Uint8Array, payload: PayloadView): void {
    if (payload.pictureId === this.#newest && payload.pictureId !== NONE) {
      this.#lastPicture = this.#outgoing[payload.pictureId % REMEMBERED] as number;
      if (payload.tl0PicIdx !== NONE) this.#lastTl0 = packet[payload.tl0PicIdxAt] as number;
      if (payload.keyIdx !== NONE) this.#lastKey = (packet[payload.keyIdxAt] as number) & 0x1f;
    }
    if (payload.frameNumber === NONE) return;
    const frame = readUint16(packet, payload.frameNumberAt);
    if (this.#lastFrame === NONE || sequenceDistance(this.#lastFrame, frame) > 0) this.#lastFrame = frame;
  }
}

/** What to add to `incoming` so that it follows `last`. */
function follow(last: number, incoming: number): number {
  return last === NONE || incoming === NONE ? 0 : last + 1 - incoming;
}

/** How far `to` is ahead of `from`, in numbers of `bits` bits that wrap. */
function distance(from: number, to: number, bits: number): number {
  return ((to - from) << (32 - bits)) >> (32 - bits);
}

/** Writes the publisher's own numbers back, so that the packet can be read once more. */
export function restoreNumbers(packet: Uint8Array, payload: PayloadView): void {
  if (payload.pictureId !== NONE) {
    if (payload.pictureIdBits === 7) packet[payload.pictureIdAt] = payload.pictureId;
    else writeUint16(packet, payload.pictureIdAt, 0x8000 | payload.pictureId);
  }
  if (payload.tl0PicIdx !== NONE) packet[payload.tl0PicIdxAt] = payload.tl0PicIdx;
  if (payload.keyIdx !== NONE)
    packet[payload.keyIdxAt] = ((packet[payload.keyIdxAt] as number) & 0xe0) | payload.keyIdx;
  if (payload.frameNumber !== NONE) writeUint16(packet, payload.frameNumberAt, payload.frameNumber);
}
