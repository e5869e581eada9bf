import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import {
  type Clock,
  closeServer,
  createInternalServer,
  healthHandler,
  type Logger,
  listen,
  type Runnable,
  systemClock,
  type Timer,
} from '@orama/core';
import { createMetrics } from '@orama/core/metrics';
import type { TurnConfig, TurnServerStatus, TurnTenantUsage, TurnUsage } from '@orama/protocol';
import type { Ledger } from './allocation/ledger.ts';
import { CertificateStore } from './certificates/certificate-store.ts';
import { ControlSocket } from './control/control-socket.ts';
import { Drain } from './drain.ts';
import { type DescriptorShares, descriptorLimit, descriptorShares } from './listener/descriptors.ts';
import { requireFreePorts } from './listener/free-ports.ts';
import { sourceLimitMemory } from './listener/source-limits.ts';
import { type NodeReport, registerTurnMetrics } from './metrics.ts';
import { relaySocketsMemory } from './relay/relay-sockets.ts';
import { addressWarnings, checkServerAddresses, interfaceAddresses } from './server/node-addresses.ts';
import { TenantDirectory } from './tenant/directory.ts';
import { preferredSockets } from './udp/preferred-sockets.ts';
import type { MakeSockets } from './udp/udp-socket.ts';
import { ThreadWorker } from './workers/thread-worker.ts';
import { TurnWorker } from './workers/turn-worker.ts';
import type { WorkerHandle } from './workers/worker-handle.ts';
import type { WorkerReport } from './workers/worker-report.ts';

const SWEEP_MS = 1_000;
/** Addresses come and go (floating IPs, bridges); to read them takes a quarter of a millisecond. */
const READ_INTERFACES_MS = 5_000;
/** How long the end waits for whoever reads the usage, which is every second, to read it once more. */
const LAST_READING_MS = 1_500;

/** A node's TURN server as a process runs it: workers, tenants, certificates, control socket, health and metrics. */
export class TurnService implements Runnable {
  readonly tenants: TenantDirectory;
  readonly workers: readonly WorkerHandle[];
  readonly #boot = randomUUID();
  readonly #config: TurnConfig;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #drain: Drain;
  /** None where TLS is off. */
  readonly #certificates: CertificateStore | undefined;
  readonly #control: ControlSocket;
  readonly #internal: Server;
  readonly #ended = Promise.withResolvers<void>();
  readonly #interfaces: () => readonly string[];
  #sweeper: Timer | undefined;
  #interfaceReader: Timer | undefined;
  #listening = false;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** Resolved by readings of the usage that begin from now on; undefined while nobody has read any. */
  #usageRead: PromiseWithResolvers<void> | undefined;
  /** What the last reading was told. */
  #usageTold: TurnTenantUsage[] = [];
  /** What metrics are written from; taken anew at each scrape. */
  #report: NodeReport = { workers: [], usage: [] };

  get statusLine(): string {
    const { size, allocationCount } = this.tenants;
    return this.#drain.begun ? this.#drain.progress : `ok: ${size} namespaces, ${allocationCount} allocations`;
  }

  /**
   * @param makeSockets the UDP sockets of a single worker; workers on threads have the fastest there are
   * @param interfaces reads the addresses of the machine's interfaces
   * @param openFiles how many files and sockets the process may have open
   */
  constructor(
    config: TurnConfig,
    logger: Logger,
    clock: Clock = systemClock,
    makeSockets: MakeSockets = preferredSockets,
    interfaces: () => readonly string[] = interfaceAddresses,
    openFiles = descriptorLimit(),
  ) {
    this.#config = config;
    this.#logger = logger;
    this.#clock = clock;
    this.#interfaces = interfaces;
    this.workers = this.#makeWorkers(makeSockets, openFiles);
    this.#drain = new Drain({ clock, logger, left: () => this.tenants.allocationCount });
    this.tenants = new TenantDirectory({
      workers: this.workers,
      ownAddresses: [...config.listen, ...config.ownAddresses],
      interfaces,
      external: config.external,
      maxAllocationsPerSource: config.maxAllocationsPerSource,
      nowMs: () => clock.monotonic(),
      onAllocationEnded: () => this.#drain.check(),
      logger,
    });

    const { tls } = config;
    if (tls !== false) {
      const { certFile, keyFile } = tls;
      this.#certificates = new CertificateStore({
        files: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
        ownNames: [...config.listen.flatMap((address) => [address, config.external[address] ?? address]), config.realm],
        tenantNames: () => this.tenants.domains(),
        clock,
        logger,
        onChange: (served) => {
          for (const worker of this.workers) worker.serve(served);
        },
      });
    }
    this.#control = new ControlSocket({
      path: config.controlSocket,
      server: config,
      tenants: this.tenants,
      node: this,
      certificates: this.#certificates,
      logger,
    });

    const registry = createMetrics('turn');
    registerTurnMetrics(registry, {
      tenants: this.tenants,
      certificates: this.#certificates,
      clock,
      draining: () => this.#drain.begun,
      report: () => this.#report,
    });
    const health = healthHandler(
      registry,
      () => this.#notReady(),
      () => ({
        status: 'ok',
        tenants: this.tenants.size,
        allocations: this.tenants.allocationCount,
        draining: this.#drain.begun,
      }),
    );
    this.#internal = createInternalServer(async (request) => {
      if (request.path === '/metrics') {
        this.#report = { workers: await this.reports(), usage: this.tenants.usage() };
      }
      return health(request);
    }, logger);
  }

  /** Resolves when a drain that the control socket asked for is over and everything is closed. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Opens every listener; closes again what it opened when one of them fails. Breaks off when told to stop. */
  async start(): Promise<void> {
    checkServerAddresses(this.#config, this.#interfaces());
    for (const warning of addressWarnings(this.#config)) this.#logger.warn(warning);
    try {
      this.#opening = this.#open();
      await this.#opening;
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  /** Drains: no new allocation, waits for the last one to end or for the deadline, then closes everything. */
  async stop(): Promise<void> {
    await this.#drainAndClose(this.#config.drainTimeoutMs);
  }

  /** Begins a drain whose end is told by `ended`. */
  drain(deadlineMs = this.#config.drainTimeoutMs): void {
    this.#drainAndClose(deadlineMs).then(this.#ended.resolve, this.#ended.reject);
  }

  /** State of the whole node. */
  async status(): Promise<TurnServerStatus> {
    const reports = await this.reports();
    const { begun, endsAtMs } = this.#drain;
    return {
      allocations: this.tenants.allocationCount,
      relayPortsBound: reports.reduce((sum, { relayPortsBound }) => sum + relayPortsBound, 0),
      draining: begun,
      ...(endsAtMs === undefined ? {} : { drainEndsAt: endsAtMs }),
      workers: reports.map(({ id, allocations }) => ({ id, allocations })),
      certificates: this.#certificates?.list() ?? [],
    };
  }

  /** What every namespace has relayed since this process started. */
  async usage(): Promise<TurnUsage> {
    const read = this.#usageRead;
    this.#usageRead ??= Promise.withResolvers();
    await this.reports();
    read?.resolve();
    this.#usageTold = this.tenants.usage();
    return { boot: this.#boot, tenants: this.#usageTold };
  }

  /** What every worker has done and has now. */
  reports(): Promise<WorkerReport[]> {
    return Promise.all(
      this.workers.map(async (worker) => {
        const report = await worker.report();
        this.tenants.usageTold(report);
        return report;
      }),
    );
  }

  /** Closes everything at once. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(): Promise<void> {
    await listen(this.#internal, { ...this.#config.internal, field: 'internal' });
    await this.#certificates?.start();
    await requireFreePorts(this.#config);
    await this.#startWorkers();
    if (this.#stopped) return;
    this.#sweeper = this.#clock.every(SWEEP_MS, () => this.tenants.sweep());
    this.#interfaceReader = this.#clock.every(READ_INTERFACES_MS, () => this.tenants.refreshOwnAddresses());
    await this.#control.start();
    this.#listening = true;
    const { listen: addresses, port } = this.#config;
    this.#logger.info({ listen: addresses, port, workers: this.workers.length }, 'turn listening');
  }

  /** As many at a time as there are processors, so that a stop need not wait for all of them. */
  async #startWorkers(): Promise<void> {
    const waiting = this.workers.values();
    const startInTurn = async () => {
      for (const worker of waiting) {
        if (this.#stopped) return;
        await worker.start();
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, startInTurn));
  }

  /** Whether it is told to stop, or is closing because it could not start. */
  get #stopped(): boolean {
    return this.#drain.begun || this.#closing !== undefined;
  }

  async #drainAndClose(deadlineMs: number): Promise<void> {
    this.#listening = false;
    if (!this.#drain.begun) for (const worker of this.workers) worker.drain();
    await this.#drain.begin(deadlineMs);
    await this.#opening?.catch(() => undefined);
    await this.#lastReading();
    await this.close();
  }

  /** Ends the allocations that are left; whoever reads the usage gets to see all of it, unless that was told already. */
  async #lastReading(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.endAllocations()));
    if (this.#usageRead === undefined) return;
    await this.reports();
    if (isDeepStrictEqual(this.tenants.usage(), this.#usageTold)) return;
    this.#usageRead = Promise.withResolvers();
    const late = Promise.withResolvers<void>();
    const timer = this.#clock.after(LAST_READING_MS, late.resolve);
    await Promise.race([this.#usageRead.promise, late.promise]);
    timer.cancel();
  }

  async #close(): Promise<void> {
    this.#listening = false;
    this.#sweeper?.cancel();
    this.#interfaceReader?.cancel();
    this.#certificates?.close();
    await this.#control.close();
    // Whoever asks them for a report asks before they are gone.
    await closeServer(this.#internal);
    await Promise.all(this.workers.map((worker) => worker.close()));
  }

  #notReady(): string | null {
    if (this.#drain.begun) return this.#drain.progress;
    return this.#listening ? null : 'not listening';
  }

  /** What clients may have open under the system's limit, which is told where it is the lower one. */
  #sharesOf(limit: number, workers: number): DescriptorShares {
    const shares = descriptorShares(limit, this.#config, workers);
    const { connections, relaySockets } = shares;
    if (connections < this.#config.maxTcpConnections) {
      this.#logger.warn(
        { limit, connections, maxTcpConnections: this.#config.maxTcpConnections, relaySockets },
        'open files are limited: fewer TCP connections are taken than configured; raise LimitNOFILE (ulimit -n)',
      );
    }
    return shares;
  }

  #makeWorkers(makeSockets: MakeSockets, openFiles: number): WorkerHandle[] {
    const { workers } = this.#config;
    const count = workers === 'auto' ? availableParallelism() : workers;
    const { connections, relaySockets } = this.#sharesOf(openFiles, count);
    const settings = {
      config: { ...this.#config, maxTcpConnections: connections },
      workers: count,
      nonceKey: randomBytes(32),
      sourceLimits: sourceLimitMemory(randomInt(2 ** 32)),
      relaySockets: relaySocketsMemory(relaySockets),
    };
    const ledgerOf = (namespace: string): Ledger => {
      const ledger = this.tenants.ledger(namespace);
      if (ledger === undefined) throw new Error(`there is no ledger of ${namespace}`);
      return ledger;
    };
    if (count === 1) {
      const own = { ...settings, id: 0, reusePort: false };
      return [new TurnWorker(own, ledgerOf, this.#logger, this.#clock, makeSockets)];
    }
    const logLevel = this.#logger.level;
    return Array.from(
      { length: count },
      (_, id) => new ThreadWorker({ settings: { ...settings, id, reusePort: true }, logLevel }, ledgerOf, this.#clock),
    );
  }
}
