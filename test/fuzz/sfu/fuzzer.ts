import { waitFor } from '@orama/testkit';
import type { Random } from '../../support/random.ts';
import {
  type Fuzzed,
  type FuzzOptions,
  leftIn,
  type Memory,
  type MemoryReport,
  playRounds,
  type Round,
} from '../rounds.ts';
import { FuzzClient } from './client.ts';
import { readSessions, type Session } from './corpus.ts';
import { Handed } from './handed.ts';
import type { Host, Mode } from './host.ts';
import { Inputs } from './inputs.ts';
import { Judge } from './judge.ts';
import { metricOf, Reach } from './reach.ts';
import { Wire } from './wire.ts';

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
const GONE_AT_ONCE =
  /^orama_sfu_(rooms|peers|published_tracks|front_peers|data_channels|data_channel_legs|paused_tracks)\b/;
const GONE_AT_THE_END = new RegExp(`${GONE_AT_ONCE.source}|^orama_sfu_media_ports_used\\b`);

export interface FuzzReport {
  reach: Reach;
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
  return { reach: fuzzer.reach, answers, sentRtp, sentRtcp, memory };
}

class Fuzzer implements Fuzzed {
  readonly judge = new Judge();
  readonly reach = new Reach();
  readonly #mode: Mode;
  readonly #sessions: readonly Session[] = [...readSessions().values()];
  #host!: Host;

  constructor(mode: Mode) {
    this.#mode = mode;
  }

  async start(): Promise<void> {
    this.#host = await (this.#mode === 'handed' ? Handed : Wire).start(this.judge);
  }

  memory(): Promise<Memory> {
    return this.#host.memory();
  }

  async close(): Promise<void> {
    await this.#host.close();
  }

  async play(round: Round): Promise<void> {
    const { random } = round;
    const room = `room-${round.seed}`;
    await waitFor('the SFU to take newcomers', () => this.#host.isReady(), { timeoutMs: OVERLOADED_MS });
    const clients = await this.#gather(room, random);
    round.check();
    const inputs = new Inputs(this.#mode, this.#host, this.judge, this.reach, this.#sessions, clients, random);
    await round.sendInputs(
      async () => {
        round.doing = 'replacing those who were sent away';
        await this.#replace(clients, room, random);
        const kind = inputs.next();
        round.doing = `sending ${kind}`;
        round.last = await inputs.send(kind);
      },
      async () => {
        await this.#host.turn();
        this.#host.advance(random.chance(2) ? random.below(15_000) : random.below(100));
      },
    );
    round.doing = 'ending';
    const metrics = await this.#host.metrics();
    this.reach.read(metrics);
    round.check(overLimit(metrics, clients.length + inputs.sessionCount));
    await inputs.endSessions();
    for (const client of clients) round.check(await client.strangerHeard());
    for (const client of clients) await client.end(random.chance(30));
    round.check((await this.#host.settle(room)) ?? (await this.#left()));
    round.check();
  }

  /** The clients of a round, two of whom send for certain. */
  async #gather(room: string, random: Random): Promise<FuzzClient[]> {
    const clients: FuzzClient[] = [];
    const senders = this.#sessions.filter(({ rtp }) => rtp.length > 0);
    for (let n = 0; n < CLIENTS; n++)
      clients.push(await this.#newcomer(room, random.pick(n < SENDERS ? senders : this.#sessions)));
    this.#host.advance(OFFERED_MS);
    for (const client of clients) await client.heard();
    return clients;
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

  async #left(): Promise<string | undefined> {
    const metrics = await this.#host.metrics();
    // In real time a port is given back a moment later.
    return leftIn(metrics, this.#mode === 'wire' ? GONE_AT_ONCE : GONE_AT_THE_END);
  }
}

function overLimit(metrics: ReadonlyMap<string, number>, clients: number): string | undefined {
  for (const [name, each] of Object.entries(LIMITS)) {
    const value = metricOf(metrics, name);
    if (!(value <= clients * each)) return `${name} is ${value} with ${clients} clients`;
  }
  return undefined;
}
