import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { issueTurnCredentials, silentLogger } from '@orama/core';
import { turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { readMetrics } from '@orama/testkit';
import { TurnService } from '@orama/turn';
import { freePort } from '../support/free-port.ts';
import { ownAddress } from '../support/own-address.ts';
import { Random } from '../support/random.ts';
import { SoakClient, type Tally } from './client.ts';
import { type Footprint, growth, measure } from './footprint.ts';
import type { Pace } from './pace.ts';

const PUBLIC_IP = '127.96.1.3';
const RELAY_IP = ownAddress(1);
const PEER_IP = '127.96.0.5';
/** Clients come from so many addresses, 127.96.4.1 and up. */
const SOURCES = 20;
const SECRET = 'a-secret-of-the-soaked-tenant';
/** Allocations live this long unless refreshed, so that those of vanished clients end soon. */
const LIFETIME_SEC = 120;
const MEAN_LIFE_SEC = 300;
/** Seconds in which the population comes to its size. */
const RAMP_SEC = 20;
/** A population that comes and goes before the run, so that code is compiled and tables have their size. */
const WARM_UP_SEC = 60;
const GROWTH_MAX = { memoryBytes: 10 * 1024 * 1024, residentBytes: 64 * 1024 * 1024 };
/** Sockets end some turns of the event loop after they are closed. */
const SETTLE_TURNS = 200;
/** Whatever has grown is looked at again after so many seconds: answers are kept for forty. */
const SETTLE_SEC = 60;
const LOOKS = 5;

export interface SoakOptions {
  clients: number;
  /** One in this thread, or several on threads of their own, which need a real pace. */
  workers: number;
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

/** Lets clients come and go at a TURN server and compares what the process holds before and after. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { pace } = options;
  const dir = mkdtempSync(join(tmpdir(), 'turn-soak-'));
  const ports = { turn: await freePort(PUBLIC_IP), tls: await freePort(PUBLIC_IP), internal: await freePort(RELAY_IP) };
  const internal = { address: RELAY_IP, port: ports.internal };
  const peer = createSocket('udp4').bind({ address: PEER_IP, port: 0 });
  await once(peer, 'listening');
  peer.on('message', (data, from) => peer.send(data, from.port, from.address));
  const service = new TurnService(
    turnConfigSchema.parse({
      node: 'node-1',
      listen: [PUBLIC_IP],
      port: ports.turn,
      tls: { port: ports.tls },
      workers: options.workers,
      realm: 'orama.localhost',
      controlSocket: join(dir, 'turn.sock'),
      internal,
      defaultLifetimeSec: LIFETIME_SEC,
    }),
    silentLogger,
    pace.clock,
  );
  await service.start();
  try {
    await service.tenants.attach(
      turnTenantSchema.parse({
        namespace: 'demo',
        secrets: [SECRET],
        relay: { address: RELAY_IP, portStart: 53_000, portEnd: 53_799 },
        peers: [{ ip: PEER_IP, portStart: peer.address().port, portEnd: peer.address().port }],
        generation: 1,
      }),
    );
    const crowd = new Crowd(options, ports, { address: PEER_IP, port: peer.address().port });
    const footprint = async () => {
      const metrics = await readMetrics(internal);
      for (let turn = 0; turn < SETTLE_TURNS; turn++) await setImmediate();
      return measure(metrics, pace.pendingTimers);
    };
    await crowd.live(WARM_UP_SEC);
    await crowd.disperse();
    const before = await footprint();
    await crowd.live(options.seconds);
    await crowd.disperse();
    let after = await footprint();
    let faults = growth(before, after, GROWTH_MAX);
    for (let look = 1; look < LOOKS && faults.length > 0; look++) {
      for (let second = 0; second < SETTLE_SEC; second++) await pace.nextSecond();
      after = await footprint();
      faults = growth(before, after, GROWTH_MAX);
    }
    for (const [what, count] of crowd.tally.failures) faults.push(`${count} clients failed: ${what}`);
    return { tally: crowd.tally, before, after, faults };
  } finally {
    await service.close();
    peer.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The clients that are there now. */
class Crowd {
  readonly tally: Tally = { clients: 0, vanished: 0, requests: 0, echoes: 0, failures: new Map() };
  readonly #options: SoakOptions;
  readonly #ports: { turn: number; tls: number };
  readonly #peer: { address: string; port: number };
  readonly #random: Random;
  #clients: SoakClient[] = [];

  constructor(options: SoakOptions, ports: { turn: number; tls: number }, peer: { address: string; port: number }) {
    this.#options = options;
    this.#ports = ports;
    this.#peer = peer;
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
    const transport = random.pick(['udp', 'udp', 'udp', 'udp', 'udp', 'udp', 'tcp', 'tcp', 'tcp', 'tls'] as const);
    const { username, password } = issueTurnCredentials({
      secret: SECRET,
      namespace: 'demo',
      ttlSec: 600,
      uris: [],
      nowMs: this.#options.pace.clock.now(),
    });
    return new SoakClient({
      turn: {
        transport,
        server: { address: PUBLIC_IP, port: transport === 'tls' ? this.#ports.tls : this.#ports.turn },
        localAddress: `127.96.4.${1 + random.below(SOURCES)}`,
        tls: { rejectUnauthorized: false },
        username,
        password,
      },
      peer: this.#peer,
      lifeSec: 1 + random.below(2 * MEAN_LIFE_SEC),
      random,
      tally: this.tally,
    });
  }
}
