import type { Duplex } from 'node:stream';
import {
  type Clock,
  type ConfigFile,
  describeError,
  type InternalReply,
  type InternalRequest,
  type Logger,
  RequestVerifier,
  type Runnable,
  sfuControlKey,
  systemClock,
  type Timer,
  VERSION,
  withReadiness,
} from '@orama/core';
import { AggregatorRegistry } from '@orama/core/metrics';
import type { SfuConfig, SfuHealth, sfuConfigSchema } from '@orama/protocol';
import { requireWireguardAddress } from './address.ts';
import { adminHandler } from './signalling/admin.ts';
import { SignallingServer } from './signalling/server.ts';
import { type PortShare, portShares } from './worker/port-shares.ts';
import { ProcessWorker } from './worker/process-worker.ts';
import { RoomPlaces } from './worker/room-places.ts';
import { SfuWorker, type WorkerParts } from './worker/sfu-worker.ts';
import type { Upgrade, WorkerHandle } from './worker/worker-handle.ts';

const DRAIN_POLL_MS = 100;
const LOOK_MS = 1_000;

export interface SfuOptions {
  config: SfuConfig;
  /** Where `config` is from; its `turn` and `generation` are followed from then on. */
  configFile?: ConfigFile<typeof sfuConfigSchema>;
  /** The namespace's SFU secret: by derivation it signs tickets and room commands. */
  secret: string;
  logger: Logger;
  clock?: Clock;
  /** Those of the first worker. */
  parts?: WorkerParts;
}

/**
 * The SFU of one namespace on one node: one signalling port, and workers that hold the rooms. The first worker is this
 * process; others are started when those that run have as much to do as they should.
 */
export class Sfu implements Runnable {
  readonly #options: SfuOptions;
  readonly #config: SfuConfig;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #shares: PortShare[];
  readonly #first: SfuWorker;
  #workers: WorkerHandle[];
  #turn: SfuConfig['turn'];
  #generation: number;
  readonly #places = new RoomPlaces();
  readonly #server: SignallingServer;
  #look: Timer | null = null;
  /** A worker on its way. */
  #starting: Promise<void> | null = null;
  #state: 'starting' | 'running' | 'draining' = 'starting';
  #stopping: Promise<void> | null = null;

  /** @throws ConfigError when the address is not inside the WireGuard network or the media ports do not do */
  constructor(options: SfuOptions) {
    const { config, secret, logger, clock = systemClock, parts } = options;
    requireWireguardAddress(config);
    this.#options = options;
    this.#config = config;
    this.#turn = config.turn;
    this.#generation = config.generation;
    this.#clock = clock;
    this.#logger = logger;
    this.#shares = portShares(config);
    this.#first = new SfuWorker({ id: 0, config, ports: this.#share(0), secret }, logger, clock, parts);
    this.#workers = [this.#first];
    const controlKey = sfuControlKey(secret);
    const rooms = {
      workers: () => this.#workers,
      workerOf: (room: string) => this.#workerOf(room),
      place: (room: string) => this.#placeRoom(room),
    };
    const admin = adminHandler(rooms, new RequestVerifier(controlKey), () => clock.now());
    this.#server = new SignallingServer({
      address: config.address,
      port: config.signalingPort,
      namespace: config.namespace,
      controlKey,
      clock,
      logger,
      accept: (upgrade, socket) => this.#accept(upgrade, socket),
      http: async (request) => (await this.#describe(request)) ?? admin(request),
    });
  }

  async start(): Promise<void> {
    await this.#first.start();
    try {
      await this.#server.start();
    } catch (thrown) {
      await this.#first.close();
      throw thrown;
    }
    this.#state = 'running';
    this.#look = this.#clock.every(LOOK_MS, () => {
      this.#lookAtWorkers();
      void this.#followConfig();
    });
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
    this.#state = 'draining';
    await this.#starting;
    for (const worker of this.#workers) worker.drain(drainTimeoutMs);
    const deadline = this.#clock.monotonic() + drainTimeoutMs;
    while (this.#peers > 0 && this.#clock.monotonic() < deadline)
      await new Promise<void>((resolve) => void this.#clock.after(DRAIN_POLL_MS, resolve));
    this.#logger.info({ peers: this.#peers }, 'sfu drained');
    this.#look?.cancel();
    await Promise.all(this.#workers.map((worker) => worker.close()));
    this.#server.stop();
  }

  #accept(upgrade: Upgrade, socket: Duplex): void {
    const worker = upgrade.ticket ? this.#placeRoom(upgrade.ticket.room) : this.#first;
    worker.accept(upgrade, socket);
  }

  #placeRoom(room: string): WorkerHandle {
    const id = this.#places.place(room, this.#workers, this.#clock.monotonic());
    return this.#workers.find((worker) => worker.id === id) ?? this.#first;
  }

  #workerOf(room: string): WorkerHandle {
    const id = this.#places.find(room);
    return this.#workers.find((worker) => worker.id === id) ?? this.#first;
  }

  #lookAtWorkers(): void {
    this.#places.learn(this.#workers, this.#clock.monotonic());
    if (this.#state !== 'running' || this.#starting || !this.#places.isFull(this.#workers)) return;
    const id = this.#shares.findIndex((_, i) => this.#workers.every((worker) => worker.id !== i));
    if (id < 0) return;
    this.#starting = this.#startWorker(id).finally(() => {
      this.#starting = null;
    });
  }

  async #startWorker(id: number): Promise<void> {
    const { config, secret } = this.#options;
    const onEnd = (ended: ProcessWorker) => {
      this.#workers = this.#workers.filter((worker) => worker !== ended);
      this.#logger.error({ worker: id, reason: 'ended by itself' }, 'worker lost with its rooms');
    };
    try {
      const worker = await ProcessWorker.start(
        { id, config, ports: this.#share(id), secret },
        this.#logger,
        this.#clock,
        onEnd,
      );
      worker.useTurn(this.#turn);
      this.#workers = [...this.#workers, worker];
      this.#logger.info({ worker: id }, 'worker started');
    } catch (thrown) {
      this.#logger.error({ worker: id, reason: describeError(thrown) }, 'worker could not be started');
    }
  }

  async #followConfig(): Promise<void> {
    try {
      const changed = await this.#options.configFile?.changed();
      if (changed) this.#follow(changed);
    } catch (thrown) {
      this.#logger.warn({ reason: describeError(thrown) }, 'the TURN servers and their secret stay as they were');
    }
  }

  #follow({ turn, generation }: SfuConfig): void {
    this.#turn = turn;
    this.#generation = generation;
    for (const worker of this.#workers) worker.useTurn(turn);
  }

  #share(id: number): PortShare {
    return this.#shares[id] as PortShare;
  }

  get statusLine(): string {
    const { status, rooms, peers } = this.#health();
    return `${status}: ${rooms} rooms, ${peers} peers`;
  }

  get #peers(): number {
    return this.#workers.reduce((sum, { report }) => sum + report.peers, 0);
  }

  async #describe({ method, path }: InternalRequest): Promise<InternalReply | undefined> {
    if (method !== 'GET') return undefined;
    if (path === '/healthz') return { status: 200, body: { ...this.#health(), version: VERSION } };
    if (path === '/readyz')
      return this.#state === 'running'
        ? { status: 200, body: { status: 'ready' } }
        : { status: 503, body: { status: 'not ready', reason: this.#state } };
    if (path === '/metrics') {
      const all = await Promise.all(this.#workers.map((worker) => worker.metrics()));
      const metrics = await AggregatorRegistry.aggregate(all).metrics();
      return { status: 200, body: withReadiness(metrics, this.#state === 'running') };
    }
    return undefined;
  }

  #health(): SfuHealth {
    const reports = this.#workers.map(({ report }) => report);
    const status = this.#state === 'draining' ? 'draining' : reports.every(({ busy }) => busy) ? 'busy' : 'ok';
    return {
      status,
      namespace: this.#config.namespace,
      node: this.#config.node,
      rooms: reports.reduce((sum, { liveRooms }) => sum + liveRooms, 0),
      peers: this.#peers,
      generation: this.#generation,
    };
  }
}
