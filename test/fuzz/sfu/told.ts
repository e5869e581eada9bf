/** The id that the SFU forwards transport-wide sequence numbers under. */
const TRANSPORT_SEQUENCE_ID = 3;

/** What one client was told of the streams that the SFU sends to it; its media may overtake its signalling. */
export class Told {
  readonly #ssrcs = new Set<number>();
  readonly #ahead = new Map<number, Buffer>();
  /** The newest sequence number of each stream that came. */
  readonly newest = new Map<number, number>();
  /** The newest transport-wide one. */
  newestTransport = 0;

  announce(ssrcs: readonly number[]): void {
    for (const ssrc of ssrcs) {
      this.#ssrcs.add(ssrc);
      this.#ahead.delete(ssrc);
    }
  }

  /** Streams that it may speak of: those that came, else those that were announced. */
  get received(): number[] {
    return [...(this.newest.size > 0 ? this.newest.keys() : this.#ssrcs)];
  }

  /** Notes that a packet came. */
  note(packet: Buffer): void {
    const ssrc = packet.readUInt32BE(8);
    if (!this.#ssrcs.has(ssrc)) this.#ahead.set(ssrc, packet);
    this.newest.set(ssrc, packet.readUInt16BE(2));
    this.newestTransport = transportSequenceOf(packet) ?? this.newestTransport;
  }

  /** A packet of a stream that was not announced even after it. */
  get stranger(): Buffer | undefined {
    return this.#ahead.values().next().value;
  }
}

/** Of a packet with header extensions of one byte (RFC 8285 section 4.2); undefined when it has none. */
function transportSequenceOf(packet: Buffer): number | undefined {
  const first = packet[0] as number;
  let at = 12 + 4 * (first & 15);
  if ((first & 0x10) === 0 || packet.length < at + 4 || packet.readUInt16BE(at) !== 0xbede) return undefined;
  const end = Math.min(packet.length, at + 4 + 4 * packet.readUInt16BE(at + 2));
  for (at += 4; at + 2 < end; at += 1 + ((packet[at] as number) === 0 ? 0 : ((packet[at] as number) & 15) + 1))
    if ((packet[at] as number) >> 4 === TRANSPORT_SEQUENCE_ID) return packet.readUInt16BE(at + 1);
  return undefined;
}
