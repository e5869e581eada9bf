import type { Logger, Timer } from '@orama/core';
import type { Negotiation } from '../rtc/negotiation.ts';
import type { SfuContext } from './context.ts';
import type { PublishedTracks } from './published-tracks.ts';
import type { ReceivedTracks } from './received-tracks.ts';

/** A relayed candidate may be told a moment after the connection through it stands. */
const RELAY_GRACE_MS = 2_000;

/** So long a client may send nothing, not even reports, before we look for another path to it; its SDK is quicker. */
const SILENCE_MS = 10_000;
const PATH_CHECK_MS = 1_000;

export interface PathWatchOptions {
  negotiation: Negotiation;
  published: PublishedTracks;
  received: ReceivedTracks;
  context: SfuContext;
  logger: Logger;
  /** Whether it can be offered an ICE restart. Clients of WHIP and WHEP cannot: they look for another path themselves. */
  takesOffers: boolean;
  /** It is not relayed, though the namespace forces that. */
  onRefused: () => void;
}

/** Watches the path of a peer's media: that it is a relayed one where it has to be, and that it still leads somewhere. */
export class PathWatch {
  readonly #options: PathWatchOptions;
  #relayTimer: Timer | null = null;
  #nextCheckMs = 0;
  /** The silence that was answered with an ICE restart began here. */
  #restartedSinceMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: PathWatchOptions) {
    this.#options = options;
  }

  /** The path is another one now: it has to be relayed soon, where that is forced. */
  expectRelay(): void {
    const { config, clock } = this.#options.context;
    if (!config.forceRelay || this.#closed) return;
    this.#relayTimer?.cancel();
    this.#relayTimer = clock.after(RELAY_GRACE_MS, () => this.#requireRelay());
  }

  /**
   * Restarts ICE when nothing comes any more that should. A path that died takes half a minute to be noticed by libjuice,
   * and then the connection is lost.
   * @param canAsk whether the peer has a socket to be asked by
   */
  check(nowMs: number, canAsk: boolean): void {
    if (nowMs < this.#nextCheckMs || !this.#options.takesOffers) return;
    this.#nextCheckMs = nowMs + PATH_CHECK_MS;
    const { negotiation, published, received, logger } = this.#options;
    const heardMs = Math.max(published.heardMs, received.heardMs);
    const isSilent = heardMs > 0 && nowMs - heardMs >= SILENCE_MS;
    if (!isSilent || !canAsk || heardMs === this.#restartedSinceMs || !this.#isSpokenTo(nowMs)) return;
    this.#restartedSinceMs = heardMs;
    logger.info({ reason: 'silent' }, 'restarting ICE');
    negotiation.restartIce();
  }

  close(): void {
    this.#closed = true;
    this.#relayTimer?.cancel();
  }

  /** Whether something should come from the peer: tracks of its own, or reports on what it receives. */
  #isSpokenTo(nowMs: number): boolean {
    const { published, received } = this.#options;
    for (const { muted } of published.all) if (!muted) return true;
    return received.isFlowing(nowMs, PATH_CHECK_MS);
  }

  #requireRelay(): void {
    if (this.#options.negotiation.isRelayed() === false) this.#options.onRefused();
  }
}
