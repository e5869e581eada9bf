/** What a cached packet looked like before it was rewritten for subscribers. */
export interface CachedPacket {
  packet: Buffer;
  sequence: number;
  timestamp: number;
}

/** The last packets of a publication by sequence number, so that a subscriber's loss is mended here. */
export class PacketCache {
  readonly #packets: (Buffer | undefined)[];
  readonly #sequences: Uint16Array;
  readonly #timestamps: Uint32Array;
  readonly #mask: number;

  /** @param size a power of two */
  constructor(size: number) {
    this.#packets = new Array<Buffer | undefined>(size).fill(undefined);
    this.#sequences = new Uint16Array(size);
    this.#timestamps = new Uint32Array(size);
    this.#mask = size - 1;
  }

  /** Keeps `packet` itself, not a copy. */
  put(sequence: number, timestamp: number, packet: Buffer): void {
    const slot = sequence & this.#mask;
    this.#packets[slot] = packet;
    this.#sequences[slot] = sequence;
    this.#timestamps[slot] = timestamp;
  }

  has(sequence: number): boolean {
    const slot = sequence & this.#mask;
    return this.#packets[slot] !== undefined && this.#sequences[slot] === sequence;
  }

  get(sequence: number): CachedPacket | null {
    const slot = sequence & this.#mask;
    const packet = this.#packets[slot];
    if (!packet || this.#sequences[slot] !== sequence) return null;
    return { packet, sequence, timestamp: this.#timestamps[slot] as number };
  }

  clear(): void {
    this.#packets.fill(undefined);
  }
}
