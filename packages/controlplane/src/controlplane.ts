import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type Clock,
  EventLoopMeter,
  Failpoints,
  healthHandler,
  hostPort,
  type Logger,
  OramaError,
  type Runnable,
  removeAbandonedFiles,
  SecretBox,
  sfuSecretOf,
  systemClock,
} from '@orama/core';
import { createMetrics } from '@orama/core/metrics';
import { type ControlplaneConfig, localAddressOf } from '@orama/protocol';
import {
  connectStore,
  createStore,
  type Database,
  RqliteDatabase,
  type ServiceReportRow,
  type Store,
  TURN_SECRET_PURPOSE,
} from '@orama/store';
import { withAbsolutePaths } from './absolute-paths.ts';
import type { PeerOf } from './api/forward.ts';
import { withTargets } from './api/monitor-routes.ts';
import { createRoutes } from './api/routes.ts';
import { ApiServer } from './api/server.ts';
import { dnsProviderOf } from './certificates/dns-provider.ts';
import { KeptCertificates } from './certificates/kept-certificates.ts';
import { CaddyWatch } from './certificates/watch.ts';
import { ControlplaneClient } from './client/controlplane-client.ts';
import { createDnsWriter } from './dns/create-writer.ts';
import { DnsServer } from './dns/embedded/dns-server.ts';
import { EmbeddedDns } from './dns/embedded/embedded-dns.ts';
import type { DnsWriter } from './dns/writer.ts';
import { createFirewall } from './firewall/create-firewall.ts';
import { gatherNodeFacts } from './inspector/node-facts.ts';
import { createMembership, type Membership } from './membership.ts';
import { Monitor } from './monitor/monitor.ts';
import { type NodeContext, nodePaths } from './node-context.ts';
import type { StoreMembers } from './operations/context.ts';
import { ChangeWatch } from './reconcile/change-watch.ts';
import { Engine } from './reconcile/engine.ts';
import { LeaseKeeper } from './reconcile/lease-keeper.ts';
import { Liveness } from './reconcile/liveness.ts';
import { LoadMeter } from './reconcile/load-meter.ts';
import { runMeter } from './reconcile/run-meter.ts';
import { storeMeter } from './reconcile/store-meter.ts';
import { StoreView } from './reconcile/store-view.ts';
import { StoreWarnings } from './reconcile/store-warnings.ts';
import type { Task } from './reconcile/task.ts';
import { coldBoot } from './restore/cold-boot.ts';
import { CrashBackoff } from './services/crash-backoff.ts';
import { HeldUnits } from './services/held-units.ts';
import { openServices } from './services/open.ts';
import type { ServiceManager } from './services/service-manager.ts';
import { CertificatesTask } from './tasks/certificates.ts';
import { CoreServiceTask, STOP_MARGIN_MS } from './tasks/core-service.ts';
import { CLUSTER_REPORTER, DnsTask } from './tasks/dns.ts';
import { DnsListenTask, DnsServerTask } from './tasks/dns-server.ts';
import { FirewallTask } from './tasks/firewall.ts';
import { HeartbeatTask } from './tasks/heartbeat.ts';
import { MovesTask } from './tasks/moves.ts';
import { NodeDrainTask } from './tasks/node-drain.ts';
import { OperationsTask } from './tasks/operations.ts';
import { RoomsTask } from './tasks/rooms.ts';
import { SfuServicesTask } from './tasks/sfu-services.ts';
import { StateFilesTask } from './tasks/state-files.ts';
import { StoreServiceTask } from './tasks/store-service.ts';
import { type TenantKeeper, TenantsBySocket } from './tasks/tenant-keeper.ts';
import { TenantUnits } from './tasks/tenant-units.ts';
import { TurnTenantsTask } from './tasks/turn-tenants.ts';
import { UsageTask } from './tasks/usage.ts';
import { WireguardInterfaceTask } from './tasks/wireguard-interface.ts';

/** Less than a caller waits for us, so that a node that does not answer is told by its name. */
const PEER_TIMEOUT_MS = 5_000;
const DNS_PORT = 53;
/** So long a store that does not answer holds up who stops. */
const STORE_END_MS = 1_000;
/** Within so long after a start every node that lives was heard, and this one has looked at its own services. */
const NEW_MS = 5_000;

export interface ControlplaneOptions {
  config: ControlplaneConfig;
  clusterKey: string;
  version: string;
  logger: Logger;
  clock?: Clock;
}

/** One node's controlplane: API, and the engine that makes the node what the store says it must be. */
export class Controlplane implements Runnable {
  readonly #options: ControlplaneOptions;
  readonly #clock: Clock;
  readonly #failpoints: Failpoints;
  readonly #secrets: SecretBox;
  readonly #warnings: StoreWarnings;
  readonly #held: HeldUnits;
  readonly #metrics = createMetrics('controlplane');
  readonly #counted = storeMeter(this.#metrics);
  readonly #abort = new AbortController();
  readonly #engine: Engine;
  readonly #load: LoadMeter;
  readonly #liveness: Liveness;
  readonly #startedAtMs: number;
  readonly #dnsServer: DnsServer | null;
  readonly #dnsWriter: DnsWriter | null;
  readonly #caddy: CaddyWatch | null;
  readonly #monitor: Monitor;
  readonly #wireguard: WireguardInterfaceTask | null;
  #api: ApiServer | null = null;
  #services: ServiceManager | null = null;
  #store: Store | null = null;
  #storeMembers: StoreMembers | undefined;
  #storeProbe: Database | null = null;
  #leases: LeaseKeeper | null = null;
  #view: StoreView | null = null;
  #watch: ChangeWatch | null = null;
  #membership: Membership | null = null;
  #booting: Promise<void> = Promise.resolve();
  #booted = false;

  constructor(options: ControlplaneOptions) {
    const { clusterKey, logger } = options;
    const config = withAbsolutePaths(options.config);
    this.#options = { ...options, config };
    this.#held = new HeldUnits(nodePaths(config.dataDir).heldUnits);
    this.#clock = options.clock ?? systemClock;
    // Both read secrets: a node without them ends here, before it has a part in anything.
    this.#dnsWriter = createDnsWriter(config, { clock: this.#clock, logger });
    this.#caddy =
      config.certificates.source === 'caddy'
        ? new CaddyWatch(config.certificates, this.#clock, dnsProviderOf(config.dns))
        : null;
    this.#failpoints = new Failpoints(config.failpointDir);
    this.#secrets = new SecretBox(clusterKey, TURN_SECRET_PURPOSE);
    this.#warnings = new StoreWarnings(this.#clock, logger);
    this.#liveness = new Liveness(config.node);
    this.#startedAtMs = this.#clock.now();
    this.#load = new LoadMeter(this.#clock, new EventLoopMeter());
    this.#dnsServer = this.#createDnsServer();
    this.#monitor = this.#createMonitor();
    this.#wireguard = WireguardInterfaceTask.of(config, logger);
    this.#engine = new Engine(
      {
        clock: this.#clock,
        logger,
        failpoints: this.#failpoints,
        intervalMs: config.reconcileIntervalMs,
        warnings: this.#warnings,
      },
      runMeter(this.#metrics),
    );
  }

  get statusLine(): string {
    return this.#wireguard?.problem ?? this.#notReady ?? 'ok';
  }

  /** Listens, adopts running services and begins the cold boot, which goes on in the background. */
  async start(): Promise<void> {
    const { config, logger, clusterKey, version } = this.#options;
    const { port } = config.api;
    await this.#held.load();
    await this.#wireguard?.restore();
    this.#api = new ApiServer({
      clusterKey,
      listen: [{ address: config.wireguardIp, port }, ...(config.api.loopback ? [{ address: '127.0.0.1', port }] : [])],
      health: withTargets(
        healthHandler(this.#metrics, () => this.#notReady),
        this.#monitor,
      ),
      routes: createRoutes({
        context: () => this.#context(),
        isCurrent: (report) => this.#isCurrent(report),
        isNew: () => this.#clock.now() < this.#startedAtMs + NEW_MS,
        version,
        clusterKey,
        onChange: () => this.#engine.wake(),
        plans: () => this.#engine.plans(),
        nodeFacts: () =>
          gatherNodeFacts(this.#context(), { version, held: this.#held, ownStore: () => this.#askOwnStore() }),
        monitor: this.#monitor,
        turn: {
          held: this.#held,
          peer: this.#peer,
          onRelease: () => this.#engine.wake('core:turn'),
        },
      }),
      clock: this.#clock,
      logger,
    });
    // First of all: a second controlplane of this node ends here, before it touches the first one's services.
    await this.#api.start();
    await mkdir(nodePaths(config.dataDir).namespaces, { recursive: true, mode: 0o700 });
    const dnsDir = config.dns.writer === 'file' ? [dirname(config.dns.file)] : [];
    await Promise.all([config.dataDir, ...dnsDir].map(removeAbandonedFiles));
    const services = await openServices(config, {
      turnStopMs: config.turn.drainTimeoutMs + STOP_MARGIN_MS,
      logger,
      failpoints: this.#failpoints,
      clock: this.#clock,
    });
    this.#services = services;
    this.#monitor.watch(services);
    // What the boot cannot wait out, such as a store that is newer than this program, ends the process.
    this.#booting = this.#boot(services);
  }

  /** Stops reconciling and answering. The services keep running, as they would under systemd. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#store?.db.endWithin(STORE_END_MS);
    await this.#api?.stop();
    await this.#engine.stop();
    await this.#booting;
    await this.#watch?.stop();
    // Whatever the time until here took.
    this.#store?.db.endWithin(STORE_END_MS);
    await this.#leases?.release().catch(() => {}); // They lapse by themselves when the store cannot be reached.
    await this.#membership?.close();
    await this.#dnsServer?.stop();
    this.#services?.close();
    this.#load.close();
    await this.#store?.db.close();
  }

  async #boot(services: ServiceManager): Promise<void> {
    const { config, logger } = this.#options;
    const backoff = new CrashBackoff(this.#clock);
    const onCore = () => this.#engine.wake('heartbeat', 'turn-tenants', 'certificates');
    const core = config.coreServices.map((name) =>
      name === 'rqlite'
        ? new StoreServiceTask(() => this.#askOwnStore(), onCore)
        : new CoreServiceTask({ config, services, clock: this.#clock }, name, backoff, this.#held, onCore),
    );
    services.onExit((exit) => {
      backoff.note(exit);
      this.#engine.wake(...core.map((task) => task.name), 'turn-tenants', 'sfu-services');
    });
    if (this.#wireguard) void this.#engine.add(this.#wireguard as Task);
    const firewall = createFirewall(config.firewall);
    const view = () => this.#view?.read() ?? null;
    const listen = this.#dnsServer && new DnsListenTask(this.#dnsServer, logger, onCore);
    // Nothing waits for these: what they open is there in time, or a moment later.
    if (listen) void this.#engine.add(listen as Task);
    if (firewall)
      void this.#engine.add(new FirewallTask({ config, clock: this.#clock, logger }, firewall, view) as Task);
    await coldBoot({
      config,
      engine: this.#engine,
      core,
      clock: this.#clock,
      logger,
      warnings: this.#warnings,
      signal: this.#abort.signal,
      onStore: async ({ db }) => {
        const store = createStore(this.#counted(db));
        await this.#register(store);
        this.#store = store;
        // A local cluster keeps its rqlited itself, whatever becomes of nodes.
        if (db instanceof RqliteDatabase && config.services.manager === 'systemd') this.#storeMembers = db.cluster;
        this.#view = new StoreView(store, config.node, this.#clock);
        this.#leases = new LeaseKeeper(store, config.node, this.#clock, () => this.#engine.wake());
        const context = this.#context();
        this.#watch = new ChangeWatch(store.db, this.#clock, this.#warnings, () => this.#engine.wake());
        this.#watch.start();
        const usage = new UsageTask(context);
        const membership = createMembership(context, {
          clusterKey: this.#options.clusterKey,
          engine: this.#engine,
        });
        this.#membership = membership;
        const onDetached = () => {
          usage.hasten();
          this.#engine.wake(usage.name);
        };
        const certificates = this.#certificatesTask(context);
        return {
          early: [
            new HeartbeatTask(
              context,
              this.#liveness,
              () => [...core, ...(listen ? [listen] : [])].map((task) => task.status),
              () => this.#register(store),
            ),
          ],
          turn: new TurnTenantsTask(context, tenantKeeper(context, backoff), this.#held, onDetached, certificates),
          sfu: new SfuServicesTask(context, backoff),
          late: [
            ...(certificates ? [certificates as Task] : []),
            new StateFilesTask(context),
            ...membership.tasks,
            new MovesTask(context),
            ...this.#dnsTasks(context),
            new RoomsTask(context),
            new OperationsTask(context),
            new NodeDrainTask(context, this.#held, () => this.#engine.wake('core:turn')),
            usage,
          ],
        };
      },
    });
    this.#booted = true;
  }

  get #notReady(): string | null {
    return this.#booted ? null : 'the node is being restored';
  }

  readonly #peer: PeerOf = (wireguardIp) => {
    const { config, clusterKey } = this.#options;
    const endpoints = [`http://${hostPort(wireguardIp, config.api.port)}`];
    return new ControlplaneClient({ endpoints, clusterKey, timeoutMs: PEER_TIMEOUT_MS });
  };

  #createMonitor(): Monitor {
    const { version, config } = this.#options;
    return new Monitor({
      version,
      turn: config.turn,
      metrics: this.#metrics,
      context: () => this.#context(),
      peer: this.#peer,
      held: this.#held,
      storeProbe: () => this.#probeStore(),
    });
  }

  /** Not what the store has from before this controlplane started, or before the power came back. */
  #isCurrent({ nodeId, reportedAtMs }: ServiceReportRow): boolean {
    if (nodeId === CLUSTER_REPORTER) return this.#dnsServer === null || this.#dnsServer.zone !== null;
    if (nodeId === this.#options.config.node) return reportedAtMs >= this.#startedAtMs;
    return this.#liveness.hasHeard(nodeId);
  }

  #createDnsServer(): DnsServer | null {
    const { config, logger } = this.#options;
    if (config.dns.writer !== 'embedded') return null;
    const { publicIp, publicIp6, dns } = config;
    const own = publicIp6 === undefined ? [publicIp] : [publicIp, publicIp6];
    const listen = dns.listen ?? own.map((address) => ({ address: localAddressOf(config, address), port: DNS_PORT }));
    return new DnsServer({ listen, clock: this.#clock, logger, metrics: this.#metrics });
  }

  #dnsTasks(context: NodeContext): Task[] {
    const task = (writer: DnsWriter) => new DnsTask(context, writer) as Task;
    if (this.#dnsServer) {
      const dns = new EmbeddedDns(this.#dnsServer, context);
      return [new DnsServerTask(dns), task(dns)];
    }
    return this.#dnsWriter ? [task(this.#dnsWriter)] : [];
  }

  #certificatesTask(context: NodeContext): CertificatesTask | null {
    const { certificates, dataDir } = context.config;
    if (!this.#caddy || certificates.source === 'none') return null;
    const kept = new KeptCertificates(nodePaths(dataDir).certificates);
    return new CertificatesTask(context, this.#caddy, kept, certificates.gateways);
  }

  /** Asks this node's rqlited; the store may not have been reached yet. */
  async #askOwnStore(): Promise<string | null> {
    const db = this.#probeStore();
    return db instanceof RqliteDatabase ? db.ownNode() : null;
  }

  /** A connection to the store for looking at it, beside the one that works with it. */
  #probeStore(): Database {
    if (this.#storeProbe) return this.#storeProbe;
    const db = connectStore(this.#options.config.store);
    this.#abort.signal.addEventListener('abort', () => void db.close(), { once: true });
    this.#storeProbe = db;
    return db;
  }

  async #register(store: Store): Promise<void> {
    const { config, version } = this.#options;
    await store.nodes.register({
      id: config.node,
      name: config.node,
      wireguardIp: config.wireguardIp,
      publicIp: config.publicIp,
      publicIp6: config.publicIp6,
      wireguard: config.wireguard,
      region: config.region,
      version,
      lastSeenAtMs: this.#clock.now(),
    });
  }

  #context(): NodeContext {
    const services = this.#services;
    if (!this.#store || !this.#view || !this.#leases || !services) {
      throw new OramaError('STORE_UNAVAILABLE', 'the store has not been reached yet', {
        retryable: true,
        hint: 'wait a moment; if it stays so, check the store',
      });
    }
    return {
      config: this.#options.config,
      store: this.#store,
      storeMembers: this.#storeMembers,
      services,
      secrets: this.#secrets,
      sfuSecretOf: (namespace) => sfuSecretOf(this.#options.clusterKey, namespace),
      clock: this.#clock,
      logger: this.#options.logger,
      failpoints: this.#failpoints,
      view: this.#view,
      leases: this.#leases,
      load: this.#load,
    };
  }
}

/** Where units run the services, units keep the tenants attached as well. */
function tenantKeeper(context: NodeContext, backoff: CrashBackoff): TenantKeeper {
  return context.config.services.manager === 'systemd'
    ? new TenantUnits(context, backoff)
    : new TenantsBySocket(context.config);
}
