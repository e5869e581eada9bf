import type { Clock } from '@orama/core';
import { acquireLease, type Database, type Lease, releaseLease } from '@orama/store';

const TTL_MS = 6_000;
/** How often a node that does not hold the lease asks for it. */
const RETRY_MS = 1_000;

/** Holds a lease for as long as it is asked for: renews it at half its life, and takes over when its holder is gone. */
export class LeaseKeeper {
  readonly #db: Database;
  readonly #name: string;
  readonly #holder: string;
  readonly #clock: Clock;
  #lease: Lease | null = null;
  #askAtMs = 0;

  constructor(db: Database, name: string, holder: string, clock: Clock) {
    this.#db = db;
    this.#name = name;
    this.#holder = holder;
    this.#clock = clock;
  }

  /** The lease, or null while another node has it. */
  async hold(): Promise<Lease | null> {
    const now = this.#clock.now();
    if (this.#lease && this.#lease.expiresAtMs - now > TTL_MS / 2) return this.#lease;
    if (!this.#lease && now < this.#askAtMs) return null;
    this.#lease = await acquireLease(this.#db, this.#name, this.#holder, TTL_MS, now);
    this.#askAtMs = now + RETRY_MS;
    return this.#lease;
  }

  /** The store refused work under the lease: ask again before doing any more. */
  lost(): void {
    this.#lease = null;
  }

  async release(): Promise<void> {
    if (this.#lease) await releaseLease(this.#db, this.#lease);
    this.#lease = null;
  }
}
