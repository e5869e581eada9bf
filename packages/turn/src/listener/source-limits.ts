import { sourceKey, TokenBucket } from '@orama/core';

/** Sources remembered at most. */
const MAX_SOURCES = 50_000;

/**
 * A rate of unauthenticated requests for each source (an IPv4 address or an IPv6 /64). The table is bounded: when it is full the oldest entry
 * is forgotten, so that forged addresses cost neither memory nor the service of others.
 */
export class SourceLimits {
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #rate: { burst: number; perSec: number };
  readonly #maxSources: number;

  constructor(rate: { burst: number; perSec: number }, maxSources = MAX_SOURCES) {
    this.#rate = rate;
    this.#maxSources = maxSources;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes one request of a source; false when it has used up its rate. */
  take(address: string, nowMs: number): boolean {
    const source = sourceKey(address);
    let bucket = this.#buckets.get(source);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#maxSources) this.#forgetFirst();
      bucket = new TokenBucket(this.#rate, nowMs);
      this.#buckets.set(source, bucket);
    }
    return bucket.take(nowMs);
  }

  /** Forgets sources whose buckets are full again. */
  sweep(nowMs: number): void {
    for (const [source, bucket] of this.#buckets) if (bucket.isFull(nowMs)) this.#buckets.delete(source);
  }

  #forgetFirst(): void {
    for (const source of this.#buckets.keys()) {
      this.#buckets.delete(source);
      return;
    }
  }
}
