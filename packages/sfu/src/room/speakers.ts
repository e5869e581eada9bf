/** What is known of one audio track. */
export interface Speaking {
  readonly level: number;
  readonly speaking: boolean;
  readonly spokeMs: number;
}

/** Changes of the order are told at most so often. */
const TELL_MS = 300;
/** A seat is kept so long after its holder spoke last, and after it was taken: turns of a conversation cost no seat. */
const HOLD_MS = 2_000;
/** So much louder somebody has to be to go before another one, or to take the seat of one who speaks. */
const MARGIN = 0.1;

/** Who speaks, in which order, and, where seats are fewer than tracks, who is heard. Pure: times and levels come in. */
export class Speakers<V extends Speaking> {
  readonly #seats: number;
  readonly #voices = new Set<V>();
  /** Tracks that are heard, with when they got their seat. */
  readonly #seated = new Map<V, number>();
  #order: V[] = [];
  #toldMs = Number.NEGATIVE_INFINITY;

  /** @param seats tracks that are heard at once; null for all */
  constructor(seats: number | null) {
    this.#seats = seats ?? Number.POSITIVE_INFINITY;
  }

  /** Those who speak, loudest first, as last told. */
  get order(): readonly V[] {
    return this.#order;
  }

  isHeard(voice: V): boolean {
    return this.#seated.has(voice);
  }

  /** A new track gets a seat while there is one. */
  add(voice: V, nowMs: number): void {
    this.#voices.add(voice);
    if (this.#seated.size < this.#seats) this.#seated.set(voice, nowMs);
  }

  /** The track has ended. @returns the one that gets its seat */
  remove(voice: V, nowMs: number): V | null {
    this.#voices.delete(voice);
    if (!this.#seated.delete(voice)) return null;
    const next = this.#waiting()[0] ?? null;
    if (next) this.#seated.set(next, nowMs);
    return next;
  }

  /**
   * Gives seats to those who speak and have none. A seat changes hands when its holder was silent for a while, or when
   * somebody is clearly louder.
   * @returns who got a seat and whose it was
   */
  reseat(nowMs: number): { heard: V; silenced: V }[] {
    const changes: { heard: V; silenced: V }[] = [];
    if (this.#voices.size <= this.#seats) return changes;
    for (const heard of this.#waiting()) {
      if (!heard.speaking) break;
      const silenced = this.#leastSeated(nowMs);
      if (!silenced || (silenced.speaking && heard.level < silenced.level + MARGIN)) break;
      this.#seated.delete(silenced);
      this.#seated.set(heard, nowMs);
      changes.push({ heard, silenced });
    }
    return changes;
  }

  /** Puts those who speak in order. @returns true when it is another one than was told last, and may be told now */
  reorder(nowMs: number): boolean {
    if (nowMs - this.#toldMs < TELL_MS) return false;
    const order = this.#order.filter((voice) => this.#counts(voice));
    for (const voice of this.#voices) if (this.#counts(voice) && !order.includes(voice)) order.push(voice);
    // Neighbours change places only when the difference is plain; otherwise two equals would take turns.
    for (let i = 1; i < order.length; i++) {
      for (let j = i; j > 0 && isPlainlyLouder(order[j] as V, order[j - 1] as V); j--)
        [order[j - 1], order[j]] = [order[j] as V, order[j - 1] as V];
    }
    if (order.length === this.#order.length && order.every((voice, i) => voice === this.#order[i])) return false;
    this.#order = order;
    this.#toldMs = nowMs;
    return true;
  }

  /** Whoever is not heard is no active speaker. */
  #counts(voice: V): boolean {
    return voice.speaking && this.#voices.has(voice) && this.#seated.has(voice);
  }

  /** Those without a seat, who speak first and loudest first. */
  #waiting(): V[] {
    return [...this.#voices].filter((voice) => !this.#seated.has(voice)).sort(byVoice);
  }

  /** Who would lose a seat first: who spoke longest ago, else the quietest. Null while all seats are held. */
  #leastSeated(nowMs: number): V | null {
    let least: V | null = null;
    for (const [voice, sinceMs] of this.#seated) {
      const isHeld = nowMs - sinceMs < HOLD_MS || (!voice.speaking && nowMs - voice.spokeMs < HOLD_MS);
      if (!isHeld && (!least || byVoice(voice, least) > 0)) least = voice;
    }
    return least;
  }
}

function isPlainlyLouder(a: Speaking, b: Speaking): boolean {
  return a.level > b.level + MARGIN;
}

function byVoice(a: Speaking, b: Speaking): number {
  if (a.speaking !== b.speaking) return a.speaking ? -1 : 1;
  if (a.speaking) return b.level - a.level;
  return b.spokeMs === a.spokeMs ? 0 : b.spokeMs - a.spokeMs;
}
