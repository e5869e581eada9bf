import { MAGIC_COOKIE } from './address.ts';
import { CHANNEL_HEADER_BYTES, isChannelData, padded } from './channel-data.ts';
import { STUN_HEADER_BYTES } from './message.ts';

/** Largest frame of a stream: a STUN message or ChannelData with a 16-bit length. */
export const FRAME_MAX_BYTES = STUN_HEADER_BYTES + 0xffff;

const PREFIX_BYTES = 8;

/**
 * Cuts a byte stream into STUN messages and ChannelData messages (RFC 8656 sections 2.1 and 12.5).
 * A frame that lies whole inside a chunk is passed on as a view; only frames cut by a chunk's end are copied, once.
 */
export class FrameReader {
  readonly #onFrame: (frame: Buffer) => void;
  /** Start of a frame whose size is not known yet. */
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  /** The frame being collected. */
  #frame: Buffer | undefined;
  #filled = 0;
  /** Frames larger than this end the stream. */
  maxFrameBytes: number;

  constructor(onFrame: (frame: Buffer) => void, maxFrameBytes = FRAME_MAX_BYTES) {
    this.#onFrame = onFrame;
    this.maxFrameBytes = maxFrameBytes;
  }

  /** Bytes of a frame that has begun and not ended. */
  get halfReadBytes(): number {
    return this.#frame === undefined ? this.#prefixBytes : this.#filled;
  }

  /** Takes a chunk. Returns false when the bytes cannot be STUN or ChannelData; then the stream has lost its sense. */
  push(chunk: Buffer): boolean {
    let position = 0;
    while (position < chunk.length) {
      if (this.#frame !== undefined) {
        position += this.#fill(chunk, position);
        continue;
      }
      if (this.#prefixBytes === 0) {
        const size = this.#frameSize(chunk, position, chunk.length - position);
        if (size < 0) return false;
        if (size > 0 && position + size <= chunk.length) {
          this.#onFrame(chunk.subarray(position, position + size));
          position += size;
          continue;
        }
      }
      const taken = Math.min(this.#prefixNeeded() - this.#prefixBytes, chunk.length - position);
      chunk.copy(this.#prefix, this.#prefixBytes, position, position + taken);
      this.#prefixBytes += taken;
      position += taken;
      const size = this.#frameSize(this.#prefix, 0, this.#prefixBytes);
      if (size < 0) return false;
      if (size > 0) this.#begin(size);
    }
    return true;
  }

  #prefixNeeded(): number {
    return this.#prefixBytes > 0 && isChannelData(this.#prefix[0] as number) ? CHANNEL_HEADER_BYTES : PREFIX_BYTES;
  }

  #begin(size: number): void {
    const frame = Buffer.allocUnsafe(size);
    this.#prefix.copy(frame, 0, 0, this.#prefixBytes);
    this.#filled = this.#prefixBytes;
    this.#prefixBytes = 0;
    this.#frame = frame;
    if (this.#filled >= size) this.#finish(frame);
  }

  #fill(chunk: Buffer, position: number): number {
    const frame = this.#frame as Buffer;
    const taken = chunk.copy(frame, this.#filled, position);
    this.#filled += taken;
    if (this.#filled === frame.length) this.#finish(frame);
    return taken;
  }

  #finish(frame: Buffer): void {
    this.#frame = undefined;
    this.#filled = 0;
    this.#onFrame(frame);
  }

  /** Size on the wire of the frame at `offset`; 0 when more bytes are needed to tell; -1 when it is none of ours. */
  #frameSize(bytes: Buffer, offset: number, available: number): number {
    const first = bytes[offset] as number;
    let size: number;
    if (isChannelData(first)) {
      if (available < CHANNEL_HEADER_BYTES) return 0;
      size = padded(CHANNEL_HEADER_BYTES + bytes.readUInt16BE(offset + 2));
    } else if (first <= 0x3f) {
      if (available < PREFIX_BYTES) return 0;
      if (bytes.readUInt32BE(offset + 4) !== MAGIC_COOKIE) return -1;
      size = STUN_HEADER_BYTES + bytes.readUInt16BE(offset + 2);
      if ((size & 3) !== 0) return -1;
    } else {
      return -1;
    }
    return size <= this.maxFrameBytes ? size : -1;
  }
}
