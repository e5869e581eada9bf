import type { Clock, Logger, Timer } from '@orama/core';
import { SfuCallError, type SfuClient } from '../rooms/sfu-client.ts';
import { authorityOf, type Sfu } from '../rooms/sfus.ts';
import type { Seat } from './seat-watch.ts';

const LOOK_MS = 1_000;
/** A little less than a look, so that each look asks anew. */
const ANSWER_MS = 800;
/** So many questions in a row without an answer: 5 to 6 s after its last word an SFU counts as lost. */
const UNANSWERED_MAX = 5;
/** Looks that come later than that were held up here, as answers may have been: they begin anew. */
const LATE_MS = 2.5 * LOOK_MS;

/** A session whose media goes through an SFU. */
export interface Served {
  /** Null before it is known where. */
  readonly seat: Seat | null;
  /** Ends the way to its SFU, which is lost: the client is told to come back, and finds another. */
  dropSfu(): void;
}

/**
 * Asks the SFUs of all open sessions whether they are there. Where a machine loses power nothing ends a connection:
 * packets just stay away, and clients would notice only after many seconds, each by itself.
 */
export class SfuWatch {
  readonly #sessions: () => Iterable<Served>;
  readonly #client: SfuClient;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timer: Timer;
  /** By authority: questions in a row without an answer. */
  #unanswered = new Map<string, number>();
  readonly #asking = new Set<string>();
  #lookedAtMs: number;

  constructor(options: { sessions: () => Iterable<Served>; client: SfuClient; clock: Clock; logger: Logger }) {
    this.#sessions = options.sessions;
    this.#client = options.client;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#lookedAtMs = options.clock.monotonic();
    this.#timer = options.clock.every(LOOK_MS, () => this.#look());
  }

  stop(): void {
    this.#timer.cancel();
  }

  #look(): void {
    const nowMs = this.#clock.monotonic();
    const isLate = nowMs - this.#lookedAtMs > LATE_MS;
    this.#lookedAtMs = nowMs;
    const sfus = new Map<string, Sfu>();
    for (const { seat } of this.#sessions()) if (seat) sfus.set(authorityOf(seat.placed.sfu), seat.placed.sfu);
    const known = isLate ? [] : [...this.#unanswered].filter(([authority]) => sfus.has(authority));
    this.#unanswered = new Map(known);
    for (const [authority, sfu] of sfus) if (!this.#asking.has(authority)) void this.#ask(authority, sfu);
  }

  async #ask(authority: string, sfu: Sfu): Promise<void> {
    this.#asking.add(authority);
    if (await this.#isSilent(sfu)) {
      const count = (this.#unanswered.get(authority) ?? 0) + 1;
      this.#unanswered.set(authority, count);
      if (count === UNANSWERED_MAX) this.#drop(authority, sfu);
    } else {
      this.#unanswered.delete(authority);
    }
    this.#asking.delete(authority);
  }

  /** A refused connection is an answer: where no process is, the system has ended its connections, too. */
  async #isSilent(sfu: Sfu): Promise<boolean> {
    try {
      await this.#client.health(sfu, ANSWER_MS);
      return false;
    } catch (thrown) {
      return !(thrown instanceof SfuCallError && thrown.absent);
    }
  }

  #drop(authority: string, sfu: Sfu): void {
    this.#unanswered.delete(authority);
    const sessions = [...this.#sessions()].filter(({ seat }) => seat && authorityOf(seat.placed.sfu) === authority);
    this.#logger.warn(
      { ns: sfu.namespace, sfu: sfu.nodeId, count: sessions.length },
      'SFU does not answer; its sessions are sent elsewhere',
    );
    for (const session of sessions) session.dropSfu();
  }
}
