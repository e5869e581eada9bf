/** Who has an allocation: a username, which many may share, and the source (an IPv4 address or an IPv6 /64). */
export interface Owner {
  readonly username: string;
  readonly source: string;
}

export interface QuotaLimits {
  total: number;
  perUsername: number;
  perSource: number;
}

/** How many allocations a tenant, each of its usernames and each source has, against what they may have. */
export class Quota {
  #total = 0;
  readonly #byUsername = new Map<string, number>();
  readonly #bySource = new Map<string, number>();
  limits: QuotaLimits;

  constructor(limits: QuotaLimits) {
    this.limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  /** Counts one allocation of `owner`; false, and nothing counted, when a limit is reached. */
  take(owner: Owner): boolean {
    const { total, perUsername, perSource } = this.limits;
    const ofUsername = this.#byUsername.get(owner.username) ?? 0;
    const ofSource = this.#bySource.get(owner.source) ?? 0;
    if (this.#total >= total || ofUsername >= perUsername || ofSource >= perSource) return false;
    this.#count(owner);
    return true;
  }

  /**
   * Counts for `to` what was counted for `from`; false, and nothing changed, when `to` has reached its own limits. The
   * tenant has one as before, so its limit is not asked: it may have been lowered meanwhile.
   */
  move(from: Owner, to: Owner): boolean {
    const ofUsername = (this.#byUsername.get(to.username) ?? 0) - Number(from.username === to.username);
    const ofSource = (this.#bySource.get(to.source) ?? 0) - Number(from.source === to.source);
    if (ofUsername >= this.limits.perUsername || ofSource >= this.limits.perSource) return false;
    this.release(from);
    this.#count(to);
    return true;
  }

  /** Gives back what `take` counted for the same owner. */
  release({ username, source }: Owner): void {
    this.#total--;
    takeOneOff(this.#byUsername, username);
    takeOneOff(this.#bySource, source);
  }

  #count({ username, source }: Owner): void {
    this.#total++;
    this.#byUsername.set(username, (this.#byUsername.get(username) ?? 0) + 1);
    this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + 1);
  }
}

function takeOneOff(counts: Map<string, number>, key: string): void {
  const count = counts.get(key) ?? 1;
  if (count === 1) counts.delete(key);
  else counts.set(key, count - 1);
}
