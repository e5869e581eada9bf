import { issueTurnCredentials } from '@orama/core';
import { Random } from '../support/random.ts';
import { SoakClient, type Tally } from './client.ts';
import { type Footprint, growth } from './footprint.ts';
import type { Pace } from './pace.ts';
import { type Addresses, LIFETIME_SEC, NAMESPACE, SECRET, type SoakedServer } from './server.ts';

/** Clients come from so many addresses, 127.96.4.1 and up. */
const SOURCES = 20;
const MEAN_LIFE_SEC = 300;
/** Seconds in which the population comes to its size. */
const RAMP_SEC = 20;
/** A population that comes and goes before the run, so that code is compiled and tables have their size. */
const WARM_UP_SEC = 60;
const GROWTH_MAX = { memoryBytes: 10 * 1024 * 1024, residentBytes: 64 * 1024 * 1024 };
/** Whatever has grown is looked at again after so many seconds: answers are kept for forty. */
const SETTLE_SEC = 60;
const LOOKS = 5;

export interface SoakOptions {
  clients: number;
  seconds: number;
  pace: Pace;
  seed: number;
  onProgress?: (seconds: number, tally: Tally, alive: number) => void;
}

export interface SoakReport {
  tally: Tally;
  before: Footprint;
  after: Footprint;
  /** What has grown or gone wrong; empty when the server holds. */
  faults: string[];
}

/** Lets clients come and go at a TURN server and compares what its process holds before and after. */
export async function soak(server: SoakedServer, options: SoakOptions): Promise<SoakReport> {
  const crowd = new Crowd(options, server.addresses);
  await crowd.live(WARM_UP_SEC);
  await crowd.disperse();
  const before = await server.measure();
  await crowd.live(options.seconds);
  await crowd.disperse();
  let after = await server.measure();
  let faults = growth(before, after, GROWTH_MAX);
  for (let look = 1; look < LOOKS && faults.length > 0; look++) {
    for (let second = 0; second < SETTLE_SEC; second++) await options.pace.nextSecond();
    after = await server.measure();
    faults = growth(before, after, GROWTH_MAX);
  }
  for (const [what, count] of crowd.tally.failures) faults.push(`${count} clients failed: ${what}`);
  return { tally: crowd.tally, before, after, faults };
}

/** The clients that are there now. */
class Crowd {
  readonly tally: Tally = { clients: 0, vanished: 0, requests: 0, echoes: 0, failures: new Map() };
  readonly #options: SoakOptions;
  readonly #addresses: Addresses;
  readonly #random: Random;
  #clients: SoakClient[] = [];

  constructor(options: SoakOptions, addresses: Addresses) {
    this.#options = options;
    this.#addresses = addresses;
    this.#random = new Random(options.seed);
  }

  /** Lets `seconds` pass; whoever leaves is followed by somebody new. */
  async live(seconds: number): Promise<void> {
    const { clients, pace, onProgress } = this.#options;
    for (let second = 0; second < seconds; second++) {
      const missing = clients - this.#clients.length;
      const arriving = Math.min(missing, Math.ceil(clients / RAMP_SEC));
      for (let n = 0; n < arriving; n++) this.#clients.push(this.#newClient());
      const ended = await Promise.all(this.#clients.map((client) => client.liveSecond()));
      this.#clients = this.#clients.filter((_, index) => !ended[index]);
      await pace.nextSecond();
      onProgress?.(second + 1, this.tally, this.#clients.length);
    }
  }

  /** Everybody leaves; then time passes until the allocations of those who vanished have ended. */
  async disperse(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.leave()));
    for (let second = 0; second < LIFETIME_SEC + 2; second++) await this.#options.pace.nextSecond();
  }

  #newClient(): SoakClient {
    const random = this.#random;
    const { listen, port, tlsPort, peer } = this.#addresses;
    const transport = random.pick(['udp', 'udp', 'udp', 'udp', 'udp', 'udp', 'tcp', 'tcp', 'tcp', 'tls'] as const);
    const { username, password } = issueTurnCredentials({
      secret: SECRET,
      namespace: NAMESPACE,
      ttlSec: 600,
      uris: [],
      nowMs: this.#options.pace.clock.now(),
    });
    return new SoakClient({
      turn: {
        transport,
        server: { address: listen, port: transport === 'tls' ? tlsPort : port },
        localAddress: `127.96.4.${1 + random.below(SOURCES)}`,
        tls: { rejectUnauthorized: false },
        username,
        password,
      },
      peer,
      lifeSec: 1 + random.below(2 * MEAN_LIFE_SEC),
      random,
      tally: this.tally,
    });
  }
}
