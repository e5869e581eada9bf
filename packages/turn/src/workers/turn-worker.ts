import { type Clock, EventLoopMeter, type Logger, type Timer } from '@orama/core';
import type { TurnConfig, TurnTenant, TurnTenantLine, TurnTenantUsage } from '@orama/protocol';
import type { Ledger } from '../allocation/ledger.ts';
import { BugLog } from '../bug-log.ts';
import { SecureContexts, type ServedCertificates } from '../certificates/secure-contexts.ts';
import type { Listener } from '../listener/client-transport.ts';
import { SharedPortListener } from '../listener/shared-port.ts';
import { type SourceLimitMemory, SourceLimits } from '../listener/source-limits.ts';
import { StreamListener } from '../listener/stream.ts';
import { UdpListener } from '../listener/udp.ts';
import { BoundPorts } from '../relay/bound-ports.ts';
import { DropCounters } from '../relay/relay.ts';
import { RelaySockets, type RelaySocketsMemory } from '../relay/relay-sockets.ts';
import { UdpRelay } from '../relay/udp-relay.ts';
import { TurnServer } from '../server/turn-server.ts';
import { TenantRegistry } from '../tenant/registry.ts';
import { SharedByteBudget } from '../tenant/shared-byte-budget.ts';
import { listedSecrets } from '../tenant/tenant.ts';
import { preferredSockets } from '../udp/preferred-sockets.ts';
import type { MakeSockets, UdpSockets } from '../udp/udp-socket.ts';
import type { TenantMemory, WorkerHandle } from './worker-handle.ts';
import { sumCounts, type WorkerReport } from './worker-report.ts';

const SWEEP_MS = 1_000;
/** Event-loop delay is told over windows of so many sweeps. */
const SWEEPS_A_WINDOW = 10;

/** What a worker is given at its start. Plain data and shared memory, so that it can be sent to a thread. */
export interface WorkerSettings {
  readonly id: number;
  /** Workers of the node, this one included. */
  readonly workers: number;
  readonly config: TurnConfig;
  /** 32 bytes that nonces are made with, so that every worker knows the others'. */
  readonly nonceKey: Uint8Array;
  readonly sourceLimits: SourceLimitMemory;
  readonly relaySockets: RelaySocketsMemory;
  /** Whether other workers listen on the same ports. */
  readonly reusePort: boolean;
}

/** What a worker does on whichever thread it is: listeners, the server behind them, and its share of the tenants. */
export class TurnWorker implements WorkerHandle {
  readonly id: number;
  readonly #ledgerOf: (namespace: string) => Ledger;
  readonly #clock: Clock;
  readonly #tenants: TenantRegistry;
  readonly server: TurnServer;
  readonly drops = new DropCounters();
  readonly #contexts = new SecureContexts();
  readonly #listeners: Listener[] = [];
  readonly #udp: UdpListener[] = [];
  readonly #streams: (StreamListener | SharedPortListener)[] = [];
  readonly #sockets: UdpSockets;
  readonly relay: UdpRelay;
  readonly #boundPorts = new BoundPorts();
  readonly #eventLoop: EventLoopMeter;
  #sweeper: Timer | undefined;
  #sweeps = 0;

  /** @param ledgerOf the ledger of an attached tenant, wherever that is kept */
  constructor(
    settings: WorkerSettings,
    ledgerOf: (namespace: string) => Ledger,
    logger: Logger,
    clock: Clock,
    makeSockets: MakeSockets = preferredSockets,
  ) {
    const { config, reusePort } = settings;
    this.id = settings.id;
    this.#ledgerOf = ledgerOf;
    this.#clock = clock;
    this.#tenants = new TenantRegistry(config.external, this.#boundPorts);
    const bugs = new BugLog(logger, clock);
    this.#sockets = makeSockets(this.drops, bugs, logger);
    const relaySockets = new RelaySockets(settings.relaySockets);
    this.relay = new UdpRelay(this.#sockets, this.drops, clock, this.#boundPorts, relaySockets);
    this.#eventLoop = new EventLoopMeter(this.#sockets);
    const sourceLimits = new SourceLimits(config, settings.sourceLimits);
    this.server = new TurnServer({
      realm: config.realm,
      clock,
      logger,
      bugs,
      tenants: this.#tenants,
      relay: this.relay,
      external: config.external,
      drops: this.drops,
      sourceLimits,
      maxAllocationsPerSource: config.maxAllocationsPerSource,
      workers: settings.workers,
      defaultLifetimeSec: config.defaultLifetimeSec,
      maxLifetimeSec: config.maxLifetimeSec,
      nonceLifetimeSec: config.nonceLifetimeSec,
      nonceKey: Buffer.from(settings.nonceKey),
    });
    for (const address of config.listen) {
      const common = { address, port: config.port, handler: this.server, drops: this.drops, reusePort };
      const stream = { ...common, clock, logger, bugs, sourceLimits };
      this.#streams.push(new StreamListener(stream));
      if (config.tls !== false) {
        const tls = new StreamListener({ ...stream, port: config.tls.port, tls: { contexts: this.#contexts } });
        this.#streams.push(tls);
        const { shared } = config.tls;
        if (shared) {
          const isTurnName = (name: string) => this.#isTurnName(name);
          this.#streams.push(new SharedPortListener({ ...stream, ...shared, turn: tls, isTurnName }));
        }
      }
      this.#udp.push(new UdpListener({ ...common, sockets: this.#sockets }));
    }
    this.#listeners.push(...this.#udp, ...this.#streams);
  }

  async start(): Promise<void> {
    try {
      for (const listener of this.#listeners) await listener.start();
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
    this.#sweeper = this.#clock.every(SWEEP_MS, () => this.#sweep());
  }

  own(addresses: readonly string[]): void {
    this.#tenants.own(addresses);
  }

  attach(config: TurnTenant, { bytes, boundPorts }: TenantMemory): Promise<void> {
    const { namespace, bytesPerSec } = config;
    const byteBudget =
      bytes === undefined || bytesPerSec === undefined ? undefined : new SharedByteBudget(bytesPerSec, bytes);
    this.#boundPorts.share(boundPorts);
    this.server.forgetAnswers(namespace, listedSecrets(config));
    return this.#tenants.attach(config, { ledger: this.#ledgerOf(namespace), byteBudget });
  }

  detach(namespace: string): Promise<TurnTenantUsage | undefined> {
    this.server.forgetAnswers(namespace, []);
    return this.#tenants.detach(namespace);
  }

  serve(certificates: ServedCertificates): void {
    this.#contexts.serve(certificates);
  }

  drain(): void {
    this.server.drain();
  }

  endAllocations(): Promise<void> {
    return this.#tenants.closeAll();
  }

  async report(): Promise<WorkerReport> {
    const { counters, refusals } = this.server;
    const transports = { udp: 0, tcp: 0, tls: 0 };
    for (const tenant of this.#tenants.all())
      for (const { client } of tenant.allocations) transports[client.protocol]++;
    const tenants = Array.from(this.#tenants.all(), (tenant) => ({
      allocations: tenant.allocations.size,
      usage: tenant.usage(),
    }));
    return {
      id: this.id,
      allocations: tenants.reduce((sum, { allocations }) => sum + allocations, 0),
      transports,
      relayPortsBound: this.relay.portsBound,
      allocationsOpened: counters.allocationsOpened,
      ended: Object.fromEntries(counters.ended.entries()),
      replies: Object.fromEntries(counters.replies.entries()),
      authFailures: Object.fromEntries(counters.authFailures.entries()),
      refusals: Object.fromEntries(refusals.byRule),
      drops: { ...this.drops },
      streamConnections: this.#streams.reduce((sum, { connectionCount }) => sum + connectionCount, 0),
      streamsClosed: sumCounts(this.#streams.map(({ closed }) => Object.fromEntries(closed))),
      tables: {
        answers: this.server.keptAnswers,
        udpClients: this.#udp.reduce((sum, { clientCount }) => sum + clientCount, 0),
      },
      tenants,
      eventLoop: this.#eventLoop.load,
    };
  }

  async takeLines(namespace: string): Promise<TurnTenantLine[]> {
    return this.server.log.take(namespace);
  }

  async close(): Promise<void> {
    this.#sweeper?.cancel();
    this.#eventLoop.close();
    await this.#tenants.closeAll();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await this.#sockets.close();
  }

  #isTurnName(name: string): boolean {
    for (const { domain } of this.#tenants.all()) if (domain?.toLowerCase() === name) return true;
    return false;
  }

  #sweep(): void {
    this.server.sweep();
    for (const listener of this.#listeners) listener.sweep();
    this.#sweeps++;
    if (this.#sweeps % SWEEPS_A_WINDOW === 0) this.#eventLoop.turn();
  }
}
