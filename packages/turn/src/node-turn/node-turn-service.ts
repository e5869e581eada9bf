import { once } from 'node:events';
import type { Server } from 'node:http';
import { closeServer, createInternalServer, healthHandler, type Logger, listen, type Runnable } from '@orama/core';
import { createMetrics, Gauge } from '@orama/core/metrics';
import type { TurnConfig } from '@orama/protocol';
import NodeTurnServer from 'node-turn';
import { ControlSocket } from '../control/control-socket.ts';
import { requireFreePorts } from '../listener/free-ports.ts';
import { requireSupportedConfig } from './config.ts';
import { NodeTurnTenants } from './node-turn-tenants.ts';

/**
 * The npm package node-turn, mended, in the place of our server: the minimal reference engine for development.
 * UDP only, on loopback addresses only; without peer policy, rate limits and drain.
 */
export class NodeTurnService implements Runnable {
  readonly tenants: NodeTurnTenants;
  readonly #config: TurnConfig;
  readonly #logger: Logger;
  readonly #engine: NodeTurnServer;
  readonly #control: ControlSocket;
  readonly #internal: Server;
  #listening = false;

  /** Throws a ConfigError when the configuration asks for what the engine has not. */
  constructor(config: TurnConfig, logger: Logger) {
    requireSupportedConfig(config);
    this.#config = config;
    this.#logger = logger;
    this.tenants = new NodeTurnTenants(logger);
    this.#engine = new NodeTurnServer({
      listeningIps: config.listen,
      listeningPort: config.port,
      authMech: 'long-term',
      realm: config.realm,
      credentials: (username) => this.tenants.passwordOf(username, Date.now()),
      maxAllocateLifetime: config.maxLifetimeSec,
      defaultAllocatetLifetime: config.defaultLifetimeSec,
      debugLevel: 'ERROR',
      log: (message) => logger.debug({ reason: String(message) }, 'node-turn'),
    });
    this.tenants.serve(this.#engine);
    this.#control = new ControlSocket({ path: config.controlSocket, server: config, tenants: this.tenants, logger });
    const registry = createMetrics('turn');
    const allocationCount = () => Object.keys(this.#engine.allocations).length;
    new Gauge({
      name: 'turn_allocations',
      help: 'Allocations alive',
      registers: [registry],
      collect() {
        this.set(allocationCount());
      },
    });
    this.#internal = createInternalServer(
      healthHandler(
        registry,
        () => (this.#listening ? null : 'not listening'),
        () => ({
          status: 'ok',
          engine: 'node-turn',
          tenants: this.tenants.list().length,
          allocations: allocationCount(),
        }),
      ),
      logger,
    );
  }

  /** Opens every listener; closes again what it opened when one of them fails. */
  async start(): Promise<void> {
    try {
      await listen(this.#internal, { ...this.#config.internal, field: 'internal' });
      await requireFreePorts(this.#config, ['udp']);
      this.#engine.start();
      await Promise.all(this.#engine.network.sockets.map((socket) => once(socket, 'listening')));
      await this.#control.start();
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
    this.#listening = true;
    this.#logger.warn(
      { listen: this.#config.listen, port: this.#config.port },
      'turn listening with node-turn, the reference engine for development: no peer policy, no rate limits',
    );
  }

  /** Closes everything at once: the engine cannot drain. */
  async stop(): Promise<void> {
    this.#listening = false;
    await this.#control.close();
    for (const allocation of Object.values(this.#engine.allocations)) allocation.close();
    await this.#closeListeners();
    await closeServer(this.#internal);
  }

  async #closeListeners(): Promise<void> {
    const closed = this.#engine.network.sockets.map((socket) => once(socket, 'close'));
    this.#engine.stop();
    await Promise.all(closed);
  }
}
