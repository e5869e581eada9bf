/** A layer that nobody watched for so long is switched off: people look away for a moment, and key frames are dear. */
const OFF_DELAY_MS = 4_000;
/** The same between SFUs: the delays of all on the way to the publisher add up. */
const RELAYED_OFF_DELAY_MS = 500;

/** Which layers of a publication somebody watches, told to the publisher when that changes: on at once, off after a while. */
export class LayerDemand {
  readonly #tell: (rids: string[]) => void;
  readonly #offDelayMs: number;
  /** Since when each layer is unwatched, by rid; those watched are not in it. */
  readonly #idleSinceMs = new Map<string, number>();
  /** What the publisher was told last; null while it was told nothing and sends everything. */
  #told: string[] | null;

  /**
   * @param tell gets the layers that should be sent
   * @param isRelayed another SFU is told, which sends nothing before; a publisher sends everything
   */
  constructor(tell: (rids: string[]) => void, isRelayed = false) {
    this.#tell = tell;
    this.#told = isRelayed ? [] : null;
    this.#offDelayMs = isRelayed ? RELAYED_OFF_DELAY_MS : OFF_DELAY_MS;
  }

  /**
   * Call it every 50 ms or so.
   * @param rids of all layers, from the smallest up
   * @param watched a bit for every layer that somebody watches, the smallest lowest
   */
  update(rids: readonly string[], watched: number, nowMs: number): void {
    // With the smallest there is always something to fall back on.
    const needed = watched === 0 ? 0 : watched | 1;
    const wanted = rids.filter((rid, index) => this.#isWanted(rid, (needed >> index) & 1, nowMs));
    const told = this.#told ?? rids;
    if (wanted.length === told.length && wanted.every((rid) => told.includes(rid))) return;
    this.#told = wanted;
    this.#tell(wanted);
  }

  /** Tells it again, to a publisher that may have missed it. */
  repeat(): void {
    if (this.#told) this.#tell(this.#told);
  }

  #isWanted(rid: string, isWatched: number, nowMs: number): boolean {
    if (isWatched) {
      this.#idleSinceMs.delete(rid);
      return true;
    }
    const sinceMs = this.#idleSinceMs.get(rid) ?? nowMs;
    this.#idleSinceMs.set(rid, sinceMs);
    const isOn = this.#told?.includes(rid) ?? true;
    return isOn && nowMs - sinceMs < this.#offDelayMs;
  }
}
