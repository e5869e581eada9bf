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
  take({ username, source }: Owner): boolean {
    const { total, perUsername, perSource } = this.limits;
    const ofUsername = this.#byUsername.get(username) ?? 0;
    const ofSource = this.#bySource.get(source) ?? 0;
    if (this.#total >= total || ofUsername >= perUsername || ofSource >= perSource) return false;
    this.#total++;
    this.#byUsername.set(username, ofUsername + 1);
    this.#bySource.set(source, ofSource + 1);
    return true;
  }

  /** Gives back what `take` counted for the same owner. */
  release({ username, source }: Owner): void {
    this.#total--;
    takeOneOff(this.#byUsername, username);
    takeOneOff(this.#bySource, source);
  }
}

function takeOneOff(counts: Map<string, number>, key: string): void {
  const count = counts.get(key) ?? 1;
  if (count === 1) counts.delete(key);
  else counts.set(key, count - 1);
}
