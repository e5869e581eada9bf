import { sequenceDistance } from '../rtp/header.ts';

/** No receiver waits longer for a packet. */
const KEEP_MS = 1_500;
/** Memory that was not written to for so long is given back. In a stream that flows each piece is used again before. */
const IDLE_MS = 2 * KEEP_MS;
const CHUNK_BYTES = 32_768;
/** Larger packets are not kept; none that a path carries is. */
export const MAX_CACHED_BYTES = 4_096;
const FIRST_SLOTS = 128;
const MAX_SLOTS = 4_096;
/** Instead of a chunk's number: nothing came, or something came and is not kept. */
const NEVER = -1;
const DROPPED = -2;

interface Chunk {
  readonly bytes: Buffer;
  used: number;
  lastMs: number;
}

/**
 * The packets of the last moments by sequence number, as they came from the publisher, so that a subscriber's loss is
 * mended here. They are copied into a few large buffers: what is received may be overwritten on its way out and soon
 * collected, and the memory is bounded in bytes and given back when the stream falls silent.
 */
export class PacketCache {
  readonly #maxChunks: number;
  readonly #chunkBytes: number;
  readonly #chunks: Chunk[] = [];
  /** How many chunks were ever begun: the number behind that of the newest. */
  #begun = 0;
  #mask = FIRST_SLOTS - 1;
  /** The newest of all; -1 before the first. */
  #newest = -1;
  #sequences = new Uint16Array(FIRST_SLOTS);
  /** Number of the chunk that the packet is in. */
  #places = new Float64Array(FIRST_SLOTS).fill(NEVER);
  #offsets = new Uint16Array(FIRST_SLOTS);
  #lengths = new Uint16Array(FIRST_SLOTS);

  /**
   * @param maxBytes what it may take at most; older packets give way
   * @param chunkBytes steps in which it takes them, at least MAX_CACHED_BYTES
   */
  constructor(maxBytes: number, chunkBytes = CHUNK_BYTES) {
    this.#maxChunks = Math.max(1, Math.floor(maxBytes / chunkBytes));
    this.#chunkBytes = chunkBytes;
  }

  /** What it holds on to, in bytes. */
  get bytes(): number {
    return this.#chunks.length * this.#chunkBytes;
  }

  /** Keeps a copy of a packet. Allocates nothing once it has its size. */
  put(sequence: number, packet: Buffer, nowMs: number): void {
    const { length } = packet;
    const slot = this.#slotFor(sequence);
    if (this.#newest < 0 || sequenceDistance(this.#newest, sequence) > 0) this.#newest = sequence;
    this.#sequences[slot] = sequence;
    this.#places[slot] = DROPPED;
    if (length > MAX_CACHED_BYTES) return;
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.used + length > this.#chunkBytes) chunk = this.#begin(nowMs);
    this.#places[slot] = this.#begun - 1;
    this.#offsets[slot] = chunk.used;
    this.#lengths[slot] = length;
    packet.copy(chunk.bytes, chunk.used);
    chunk.used += length;
    chunk.lastMs = nowMs;
  }

  /**
   * Whether a packet never came before. False also for one so late that nobody can tell: sent on, it might be another one
   * under a number that was used.
   */
  isNew(sequence: number): boolean {
    if (this.#newest < 0) return true;
    const slot = sequence & this.#mask;
    if (this.#sequences[slot] === sequence && this.#places[slot] !== NEVER) return false;
    return sequenceDistance(this.#newest, sequence) > -this.#mask;
  }

  has(sequence: number): boolean {
    const slot = sequence & this.#mask;
    return this.#sequences[slot] === sequence && this.#isKept(slot);
  }

  /**
   * Copies a packet to the beginning of `target`, which takes MAX_CACHED_BYTES.
   * @returns its length; 0 when it is no longer, or not yet, here
   */
  copy(sequence: number, target: Buffer): number {
    if (!this.has(sequence)) return 0;
    const slot = sequence & this.#mask;
    const chunk = this.#chunks[(this.#places[slot] as number) - (this.#begun - this.#chunks.length)] as Chunk;
    const offset = this.#offsets[slot] as number;
    return chunk.bytes.copy(target, 0, offset, offset + (this.#lengths[slot] as number));
  }

  /** Gives back what a stream that fell silent, or that sends less than before, needs no more. Call it now and then. */
  trim(nowMs: number): void {
    while (this.#chunks.length > 0 && nowMs - (this.#chunks[0] as Chunk).lastMs > IDLE_MS) this.#chunks.shift();
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#newest = -1;
    this.#places.fill(NEVER);
  }

  // The oldest chunk is used again, unless its packets are still of use and there may be more.
  #begin(nowMs: number): Chunk {
    const oldest = this.#chunks[0];
    const reused = oldest && (nowMs - oldest.lastMs > KEEP_MS || this.#chunks.length >= this.#maxChunks);
    const chunk = reused
      ? (this.#chunks.shift() as Chunk)
      : { bytes: Buffer.allocUnsafeSlow(this.#chunkBytes), used: 0, lastMs: 0 };
    chunk.used = 0;
    this.#chunks.push(chunk);
    this.#begun++;
    return chunk;
  }

  #isKept(slot: number): boolean {
    return (this.#places[slot] as number) >= this.#begun - this.#chunks.length && (this.#places[slot] as number) >= 0;
  }

  #slotFor(sequence: number): number {
    const slot = sequence & this.#mask;
    if (!this.#isKept(slot) || this.#sequences[slot] === sequence || this.#mask + 1 >= MAX_SLOTS) return slot;
    this.#grow();
    return sequence & this.#mask;
  }

  #grow(): void {
    const { length } = this.#sequences;
    const mask = length * 2 - 1;
    const grown = {
      sequences: new Uint16Array(length * 2),
      places: new Float64Array(length * 2).fill(NEVER),
      offsets: new Uint16Array(length * 2),
      lengths: new Uint16Array(length * 2),
    };
    for (let from = 0; from < length; from++) {
      if (this.#places[from] === NEVER) continue;
      const to = (this.#sequences[from] as number) & mask;
      grown.sequences[to] = this.#sequences[from] as number;
      grown.places[to] = this.#places[from] as number;
      grown.offsets[to] = this.#offsets[from] as number;
      grown.lengths[to] = this.#lengths[from] as number;
    }
    this.#mask = mask;
    this.#sequences = grown.sequences;
    this.#places = grown.places;
    this.#offsets = grown.offsets;
    this.#lengths = grown.lengths;
  }
}
