import { waitFor } from '@orama/testkit';
import { Random } from '../../support/random.ts';
import {
  type Fuzzed,
  FuzzFailure,
  type FuzzOptions,
  hearUncaught,
  type Memory,
  type MemoryReport,
  playRounds,
  ROUND_INPUTS,
  type Run,
} from '../rounds.ts';
import { FuzzClient } from './client.ts';
import { readSessions, type Session } from './corpus.ts';
import { Handed } from './handed.ts';
import type { Host, Mode } from './host.ts';
import { type InputKind, Inputs, SHARES } from './inputs.ts';
import { Judge } from './judge.ts';
import { Wire } from './wire.ts';

/** Time passes after so many packets. */
const BATCH_INPUTS = 10;
/** Clients of a round. */
const CLIENTS = 6;
/** Those of them that send, so that every one has something to receive. */
const SENDERS = 2;
/** A machine that is that busy for so long is of no use. */
const OVERLOADED_MS = 200_000;
/** The SFU has offered what there is by then. */
const OFFERED_MS = 1_000;
/** What one client may have, and metrics that say how much all have. */
const LIMITS = { orama_sfu_published_tracks: 16, orama_sfu_data_channels: 16 } as const;
/** Metrics that count what lives; all of it has ended when a round has. */
const GONE_AT_THE_END =
  /^orama_sfu_(rooms|peers|published_tracks|media_ports_used|front_peers|data_channels|data_channel_legs|paused_tracks)\b/;

export interface FuzzReport {
  inputs: Readonly<Record<InputKind, number>>;
  /** Error codes and HTTP statuses. */
  answers: ReadonlyMap<string, number>;
  sentRtp: number;
  sentRtcp: number;
  memory: MemoryReport;
}

/**
 * Sends mutants of the corpus to a whole SFU whose room has sound clients: packets, messages, frames, descriptions,
 * candidates, STUN and HTTP, while some of them come and go. Throws a FuzzFailure for the first broken rule.
 */
export async function fuzzSfu(mode: Mode, options: FuzzOptions): Promise<FuzzReport> {
  const fuzzer = new Fuzzer(mode);
  const memory = await playRounds(fuzzer, { target: 'sfu', mode }, options);
  const { answers, sentRtp, sentRtcp } = fuzzer.judge;
  return { inputs: fuzzer.counts, answers, sentRtp, sentRtcp, memory };
}

/** How far a round is. */
interface Progress {
  input: number;
  /** The last input. */
  last: string;
  doing: string;
}

class Fuzzer implements Fuzzed {
  readonly judge = new Judge();
  readonly counts = Object.fromEntries(Object.keys(SHARES.handed).map((kind) => [kind, 0])) as Record<
    InputKind,
    number
  >;
  readonly #mode: Mode;
  readonly #sessions: readonly Session[] = [...readSessions().values()];
  #host!: Host;
  #endHearing: () => void = () => undefined;

  constructor(mode: Mode) {
    this.#mode = mode;
  }

  async start(): Promise<void> {
    this.#endHearing = hearUncaught((what) => this.judge.accuse(what));
    this.#host = await (this.#mode === 'handed' ? Handed : Wire).start(this.judge);
  }

  memory(): Promise<Memory> {
    return this.#host.memory();
  }

  async close(): Promise<void> {
    await this.#host.close();
    this.#endHearing();
  }

  /** One round: new clients, a thousand inputs, everything gone again. */
  async round(seed: number): Promise<void> {
    const random = new Random(seed);
    const run: Run = { target: 'sfu', mode: this.#mode };
    const progress: Progress = { input: 0, last: '', doing: 'joining' };
    const check = (what = this.judge.takeWrong()) => {
      const { input, last, doing } = progress;
      if (what !== undefined) throw new FuzzFailure(`${what} while ${doing}`, run, seed, input, last);
    };
    try {
      await this.#play(`room-${seed}`, random, progress, check);
    } catch (thrown) {
      if (thrown instanceof FuzzFailure) throw thrown;
      check(this.judge.takeWrong() ?? (thrown as Error).stack);
    }
  }

  async #play(room: string, random: Random, progress: Progress, check: (what?: string) => void): Promise<void> {
    await waitFor('the SFU to take newcomers', () => this.#host.isReady(), { timeoutMs: OVERLOADED_MS });
    const clients: FuzzClient[] = [];
    const inputs = new Inputs(this.#mode, this.#host, this.judge, this.#sessions, clients, random);
    const senders = this.#sessions.filter(({ rtp }) => rtp.length > 0);
    for (let n = 0; n < CLIENTS; n++)
      clients.push(await this.#newcomer(room, n < SENDERS ? random.pick(senders) : random.pick(this.#sessions)));
    this.#host.advance(OFFERED_MS);
    for (const client of clients) await client.heard();
    check();
    for (; progress.input < ROUND_INPUTS; progress.input++) {
      progress.doing = 'replacing those who were sent away';
      await this.#replace(clients, room, random);
      const kind = inputs.next();
      progress.doing = `sending ${kind}`;
      this.counts[kind]++;
      progress.last = await inputs.send(kind);
      if (progress.input % BATCH_INPUTS === BATCH_INPUTS - 1) {
        await this.#host.turn();
        this.#host.advance(random.chance(2) ? random.below(15_000) : random.below(100));
      }
      check();
    }
    progress.doing = 'ending';
    check(await this.#overLimit(clients.length + inputs.sessionCount));
    await inputs.endSessions();
    for (const client of clients) check(await client.strangerHeard());
    for (const client of clients) await client.end(random.chance(30));
    check((await this.#host.settle(room)) ?? (await this.#left()));
    check();
  }

  async #replace(clients: FuzzClient[], room: string, random: Random): Promise<void> {
    for (const [index, client] of clients.entries()) {
      if (client.isOpen) continue;
      await client.end(false);
      clients[index] = await this.#newcomer(room, random.pick(this.#sessions));
    }
  }

  #newcomer(room: string, session: Session): Promise<FuzzClient> {
    return FuzzClient.join(this.#host, room, session, this.judge);
  }

  async #overLimit(clients: number): Promise<string | undefined> {
    const metrics = await this.#host.metrics();
    for (const [name, each] of Object.entries(LIMITS)) {
      const value = [...metrics].find(([series]) => series.startsWith(name))?.[1] ?? Number.NaN;
      if (!(value <= clients * each)) return `${name} is ${value} with ${clients} clients`;
    }
    return undefined;
  }

  async #left(): Promise<string | undefined> {
    for (const [series, value] of await this.#host.metrics()) {
      // In real time a port is given back a moment later.
      if (this.#mode === 'wire' && series.startsWith('orama_sfu_media_ports_used')) continue;
      if (value !== 0 && GONE_AT_THE_END.test(series)) return `${series} is ${value} at the end of a round`;
    }
    return undefined;
  }
}
