/** What one client was told of the streams that the SFU sends to it; its media may overtake its signalling. */
export class Told {
  readonly ssrcs = new Set<number>();
  readonly #ahead = new Map<number, Buffer>();

  announce(ssrcs: readonly number[]): void {
    for (const ssrc of ssrcs) {
      this.ssrcs.add(ssrc);
      this.#ahead.delete(ssrc);
    }
  }

  /** Notes that a packet came. */
  note(packet: Buffer): void {
    const ssrc = packet.readUInt32BE(8);
    if (!this.ssrcs.has(ssrc)) this.#ahead.set(ssrc, packet);
  }

  /** A packet of a stream that was not announced even after it. */
  get stranger(): Buffer | undefined {
    return this.#ahead.values().next().value;
  }
}
