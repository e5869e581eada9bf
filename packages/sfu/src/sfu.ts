import {
  type Clock,
  ConfigError,
  createMetrics,
  healthHandler,
  type InternalHandler,
  issueTurnCredentials,
  type Logger,
  RequestVerifier,
  type Runnable,
  sfuControlKey,
  systemClock,
  type Timer,
} from '@orama/core';
import type { SfuConfig, SfuHealth } from '@orama/protocol';
import { requireWireguardAddress } from './address.ts';
import { MediaCounters } from './media/counters.ts';
import { registerMetrics } from './metrics.ts';
import type { SfuContext } from './room/context.ts';
import { Rooms } from './room/rooms.ts';
import { PortBudget } from './rtc/port-budget.ts';
import { StunFront } from './rtc/stun-front.ts';
import { adminHandler } from './signalling/admin.ts';
import { HttpSessions } from './signalling/http-sessions.ts';
import { SignallingServer } from './signalling/server.ts';

/** Lost packets are asked for again, and key frames repeated, at this pace. */
const TICK_MS = 50;
/** Transport-wide feedback goes out at every second tick. */
const FEEDBACK_TICKS = 2;
const SWEEP_MS = 10_000;
const DRAIN_POLL_MS = 100;

export interface SfuOptions {
  config: SfuConfig;
  /** The namespace's TURN secret: signs pushed credentials, and by derivation tickets and room commands. */
  secret: string;
  logger: Logger;
  clock?: Clock;
}

/** The SFU of one namespace on one node: signalling, rooms and media. */
export class Sfu implements Runnable {
  readonly #config: SfuConfig;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #front: StunFront;
  readonly #rooms: Rooms;
  readonly #server: SignallingServer;
  readonly #timers: Timer[] = [];
  #running = false;
  #stopping: Promise<void> | null = null;

  /** @throws ConfigError when the address is not inside the WireGuard network or the media port range is upside down */
  constructor(options: SfuOptions) {
    const { config, secret, logger, clock = systemClock } = options;
    requireWireguardAddress(config);
    if (config.mediaPortEnd < config.mediaPortStart)
      throw new ConfigError(`mediaPortEnd ${config.mediaPortEnd} is below mediaPortStart ${config.mediaPortStart}`);
    this.#config = config;
    this.#clock = clock;
    this.#logger = logger;
    const counters = new MediaCounters();
    const ports = new PortBudget(config.mediaPortStart, config.mediaPortEnd, clock);
    const { address, mediaPortStart: portStart, mediaPortEnd: portEnd } = config;
    this.#front = new StunFront({ address, portStart, portEnd, clock });
    const context: SfuContext = {
      config,
      clock,
      logger,
      counters,
      ports,
      front: this.#front,
      issueCredentials: () =>
        config.turn.uris.length === 0
          ? null
          : issueTurnCredentials({
              secret,
              namespace: config.namespace,
              ttlSec: config.turn.credentialTtlSec,
              uris: shuffle(config.turn.uris),
              nowMs: clock.now(),
            }),
    };
    this.#rooms = new Rooms(context);
    const registry = createMetrics('sfu');
    registerMetrics(registry, this.#rooms, counters, ports, this.#front);
    const controlKey = sfuControlKey(secret);
    const health = healthHandler(
      registry,
      () => this.#readiness(),
      () => this.#health(),
    );
    const sessions = new HttpSessions({ rooms: this.#rooms, clock, logger });
    const admin = adminHandler(this.#rooms, sessions, new RequestVerifier(controlKey), () => clock.now());
    const http: InternalHandler = async (request) => (await health(request)) ?? admin(request);
    this.#server = new SignallingServer({
      address: config.address,
      port: config.signalingPort,
      namespace: config.namespace,
      controlKey,
      rooms: this.#rooms,
      clock,
      logger,
      http,
    });
  }

  async start(): Promise<void> {
    await this.#front.start();
    try {
      await this.#server.start();
    } catch (thrown) {
      this.#front.close();
      throw thrown;
    }
    this.#running = true;
    let ticks = 0;
    this.#timers.push(
      this.#clock.every(TICK_MS, () => this.#rooms.tick(performance.now(), ++ticks % FEEDBACK_TICKS === 0)),
      this.#clock.every(SWEEP_MS, () => this.#rooms.sweep()),
    );
    const { address, signalingPort, mediaPortStart, mediaPortEnd } = this.#config;
    this.#logger.info({ address, signalingPort, mediaPortStart, mediaPortEnd }, 'sfu listening');
  }

  /** Drains: no new joins, everyone told, the end when the last peer left or the deadline passed. */
  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    const { drainTimeoutMs } = this.#config;
    this.#running = false;
    this.#rooms.drain(drainTimeoutMs);
    const deadline = this.#clock.monotonic() + drainTimeoutMs;
    while (this.#rooms.peerCount > 0 && this.#clock.monotonic() < deadline)
      await new Promise<void>((resolve) => void this.#clock.after(DRAIN_POLL_MS, resolve));
    this.#logger.info({ peers: this.#rooms.peerCount }, 'sfu drained');
    this.#rooms.closeAll();
    for (const timer of this.#timers) timer.cancel();
    await this.#server.stop();
    this.#front.close();
  }

  #readiness(): string | null {
    if (this.#rooms.isDraining) return 'draining';
    return this.#running ? null : 'starting';
  }

  #health(): SfuHealth {
    return {
      status: this.#rooms.isDraining ? 'draining' : 'ok',
      namespace: this.#config.namespace,
      node: this.#config.node,
      rooms: this.#rooms.roomCount,
      peers: this.#rooms.peerCount,
      generation: this.#config.generation,
    };
  }
}

// Clients try the first servers first: a different order for each spreads them.
function shuffle<T>(items: readonly T[]): T[] {
  const shuffled = [...items];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
  }
  return shuffled;
}
