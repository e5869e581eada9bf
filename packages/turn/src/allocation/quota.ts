/** How many allocations a tenant and each of its usernames have, against what they may have. */
export class Quota {
  #total = 0;
  readonly #byUsername = new Map<string, number>();
  maxTotal: number;
  maxPerUsername: number;

  constructor(maxTotal: number, maxPerUsername: number) {
    this.maxTotal = maxTotal;
    this.maxPerUsername = maxPerUsername;
  }

  get total(): number {
    return this.#total;
  }

  /** Counts one allocation of `username`; false, and nothing counted, when a limit is reached. */
  take(username: string): boolean {
    const own = this.#byUsername.get(username) ?? 0;
    if (this.#total >= this.maxTotal || own >= this.maxPerUsername) return false;
    this.#total++;
    this.#byUsername.set(username, own + 1);
    return true;
  }

  release(username: string): void {
    const own = this.#byUsername.get(username);
    if (own === undefined) return;
    this.#total--;
    if (own === 1) this.#byUsername.delete(username);
    else this.#byUsername.set(username, own - 1);
  }
}
