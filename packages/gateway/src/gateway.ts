import type { Server } from 'node:http';
import {
  AddressSet,
  bindError,
  type Clock,
  closeServer,
  createInternalServer,
  healthHandler,
  type Logger,
  listen,
  type Runnable,
  SecretBox,
  systemClock,
  type Timer,
} from '@orama/core';
import { createMetrics } from '@orama/core/metrics';
import type { GatewayConfig } from '@orama/protocol';
import { createStore, type Database, TURN_SECRET_PURPOSE } from '@orama/store';
import type { FastifyInstance } from 'fastify';
import { Authenticator } from './auth/authenticator.ts';
import { createGatewayMetrics } from './metrics.ts';
import { HttpSessionService } from './rooms/http-sessions.ts';
import { RoomPlacer } from './rooms/room-placer.ts';
import { RoomService } from './rooms/room-service.ts';
import { SfuClient } from './rooms/sfu-client.ts';
import { routeAcmeChallenge } from './routes/acme-challenge.ts';
import { routeCallPage } from './routes/call-page.ts';
import { routeOperator } from './routes/operator.ts';
import { routeRooms } from './routes/rooms.ts';
import { routeTurnCredentials } from './routes/turn-credentials.ts';
import { routeUsage } from './routes/usage.ts';
import { routeWhip } from './routes/whip.ts';
import { createPublicServer } from './server.ts';
import { SeatWatch } from './signalling/seat-watch.ts';
import { SfuWatch } from './signalling/sfu-watch.ts';
import { SignallingServer } from './signalling/signalling-server.ts';
import { TurnUris } from './turn-uris.ts';
import { WebrtcSettingsReader } from './webrtc-settings.ts';

export interface GatewayOptions {
  config: GatewayConfig;
  /** Opens the secrets that the store keeps sealed. */
  clusterKey: string;
  /** Open and migrated; closed by `stop`. */
  database: Database;
  logger: Logger;
  /** Folder of the built call page, served when the configuration says so. */
  callPageDir?: string;
  clock?: Clock;
}

/** How often the store is tried for the answer of `/readyz`. */
const STORE_CHECK_MS = 2_000;

/** A node's gateway: REST and signalling on the public listener, health and metrics on the internal one. */
export class Gateway implements Runnable {
  readonly #options: GatewayOptions;
  #app: FastifyInstance | null = null;
  #signalling: SignallingServer | null = null;
  #watches: (SeatWatch | SfuWatch)[] = [];
  #internal: Server | null = null;
  #storeCheck: Timer | null = null;
  #notReady: string | null = 'starting';

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  get statusLine(): string {
    return this.#notReady ?? 'ok';
  }

  async start(): Promise<void> {
    const { config, database, logger, clusterKey, callPageDir, clock = systemClock } = this.#options;
    const { limits } = config;
    const registry = createMetrics('gateway');
    const metrics = createGatewayMetrics(registry);
    const trustedProxies = new AddressSet(config.trustedProxies);
    const { keys, ports, rooms, nodes, reports, usage, webrtc } = createStore(database);
    const authenticator = new Authenticator({
      keys,
      clock,
      baseDomain: config.baseDomain,
      requestsPerKey: limits.requestsPerKey,
    });
    const settings = new WebrtcSettingsReader(webrtc, new SecretBox(clusterKey, TURN_SECRET_PURPOSE), clusterKey);
    const client = new SfuClient(clock);
    const turnUris = new TurnUris({
      ports,
      nodes,
      reports,
      advertise: config.turnAdvertise,
      baseDomain: config.baseDomain,
      port443: config.turnPort443,
    });

    const app = await createPublicServer({ limits, trustedProxies, clock, logger, metrics });
    routeTurnCredentials(app, { authenticator, settings, turnUris, clock });
    routeRooms(app, { authenticator, rooms: new RoomService({ rooms, ports, settings, client, clock, logger }) });
    routeUsage(app, { authenticator, usage, clock });
    const placer = new RoomPlacer({ rooms, ports, nodes, client, clock });
    const sessions = new HttpSessionService({ placer, rooms, ports, settings, client, logger, metrics });
    await routeWhip(app, { authenticator, sessions, settings, turnUris, clock });
    routeOperator(app, { config, clusterKey, trustedProxies, clock, logger });
    const { acmeChallengePort: port, node, baseDomain } = config;
    if (port !== undefined)
      routeAcmeChallenge(app, { node, baseDomain, port, nodes: () => nodes.list(), trustedProxies, clock });
    if (config.callPage && callPageDir !== undefined) await routeCallPage(app, callPageDir);
    const signalling = new SignallingServer({
      authenticator,
      settings,
      placer,
      clock,
      logger,
      metrics,
      limits,
      trustedProxies,
    });
    app.server.on('upgrade', (request, socket, head) => signalling.upgrade(request, socket, head));
    const seats = new SeatWatch({
      sessions: () => [...signalling.sessions, ...sessions.seated],
      rooms,
      authenticator,
      clock,
      logger,
    });
    const sfus = new SfuWatch({ sessions: () => signalling.sessions, client, clock, logger });
    this.#watches = [seats, sfus];

    this.#internal = createInternalServer(
      healthHandler(registry, () => this.#notReady),
      logger,
    );
    await listen(this.#internal, { ...config.internal, field: 'internal' });
    await app.listen({ host: config.listen.address, port: config.listen.port }).catch((thrown) => {
      throw bindError(thrown, { transport: 'tcp', ...config.listen, field: 'listen' });
    });
    this.#app = app;
    this.#signalling = signalling;
    this.#notReady = null;
    this.#storeCheck = clock.every(STORE_CHECK_MS, () => void this.#checkStore());
  }

  /** Sends clients elsewhere, lets requests under way finish within `drainTimeoutMs`, then closes everything. */
  async stop(): Promise<void> {
    const { config, database, clock = systemClock } = this.#options;
    this.#storeCheck?.cancel();
    this.#notReady = 'draining';
    for (const watch of this.#watches) watch.stop();
    if (this.#app && this.#signalling) {
      const { server } = this.#app;
      const deadline = clock.after(config.drainTimeoutMs, () => server.closeAllConnections());
      await Promise.all([this.#app.close(), this.#signalling.drain(config.drainTimeoutMs)]);
      deadline.cancel();
    }
    if (this.#internal) await closeServer(this.#internal);
    await database.close();
  }

  async #checkStore(): Promise<void> {
    const fault = await this.#options.database.query('SELECT 1').then(
      () => null,
      () => 'the store does not answer',
    );
    if (this.#notReady !== 'draining') this.#notReady = fault;
  }
}
