import type { Server } from 'node:http';
import {
  type Clock,
  closeServer,
  createInternalServer,
  createMetrics,
  healthHandler,
  type Logger,
  listen,
  type Runnable,
  systemClock,
  type Timer,
} from '@orama/core';
import type { TurnConfig } from '@orama/protocol';
import { CertificateStore } from './certificates/certificate-store.ts';
import { SecureContexts } from './certificates/secure-contexts.ts';
import { ControlSocket } from './control/control-socket.ts';
import type { Listener } from './listener/client-transport.ts';
import { ConnectionLimits } from './listener/connection-limits.ts';
import { SourceLimits } from './listener/source-limits.ts';
import { StreamListener } from './listener/stream.ts';
import { UdpListener } from './listener/udp.ts';
import { registerTurnMetrics } from './metrics.ts';
import { DropCounters } from './relay/relay.ts';
import { UdpRelay } from './relay/udp-relay.ts';
import { checkServerAddresses, interfaceAddresses } from './server/node-addresses.ts';
import { TurnServer } from './server/turn-server.ts';
import { TenantRegistry } from './tenant/registry.ts';

const SWEEP_MS = 1_000;

/** A node's TURN server as a process runs it: listeners, tenants, control socket, health and metrics. */
export class TurnService implements Runnable {
  readonly tenants: TenantRegistry;
  readonly server: TurnServer;
  readonly drops = new DropCounters();
  readonly #config: TurnConfig;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #listeners: Listener[] = [];
  /** None where TLS is off. */
  readonly #certificates: CertificateStore | undefined;
  readonly #control: ControlSocket;
  readonly #internal: Server;
  #sweeper: Timer | undefined;
  #listening = false;

  constructor(config: TurnConfig, logger: Logger, clock: Clock = systemClock) {
    this.#config = config;
    this.#logger = logger;
    this.#clock = clock;
    this.tenants = new TenantRegistry([...config.listen, ...config.ownAddresses], logger, config.external);
    const sourceLimits = new SourceLimits(config.unauthenticatedRate);
    this.server = new TurnServer({
      realm: config.realm,
      clock,
      logger,
      tenants: this.tenants,
      relay: new UdpRelay(this.drops, clock),
      external: config.external,
      drops: this.drops,
      sourceLimits,
      defaultLifetimeSec: config.defaultLifetimeSec,
      maxLifetimeSec: config.maxLifetimeSec,
      nonceLifetimeSec: config.nonceLifetimeSec,
    });

    const contexts = new SecureContexts();
    const { tls } = config;
    if (tls !== false) {
      const { certFile, keyFile } = tls;
      this.#certificates = new CertificateStore({
        files: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
        ownNames: [...config.listen.flatMap((address) => [address, config.external[address] ?? address]), config.realm],
        tenantNames: () => this.tenants.domains(),
        clock,
        logger,
        onChange: (served) => contexts.serve(served),
      });
    }

    const streams: StreamListener[] = [];
    const connections = new ConnectionLimits(config.maxTcpConnections, config.maxTcpConnectionsPerSource);
    for (const address of config.listen) {
      const common = { address, port: config.port, handler: this.server, drops: this.drops };
      const options = { ...common, clock, logger, connections };
      streams.push(new StreamListener(options));
      if (tls !== false) {
        streams.push(new StreamListener({ ...options, port: tls.port, tls: { contexts, sourceLimits } }));
      }
      this.#listeners.push(new UdpListener(common));
    }
    this.#listeners.push(...streams);
    this.#control = new ControlSocket({
      path: config.controlSocket,
      tenants: this.tenants,
      certificates: this.#certificates,
      logger,
    });

    const registry = createMetrics('turn');
    registerTurnMetrics(registry, {
      server: this.server,
      tenants: this.tenants,
      drops: this.drops,
      streams,
      certificates: this.#certificates,
    });
    this.#internal = createInternalServer(
      healthHandler(
        registry,
        () => this.#notReady(),
        () => ({
          status: 'ok',
          tenants: this.tenants.size,
          allocations: this.server.allocationCount,
          draining: this.server.draining,
        }),
      ),
      logger,
    );
  }

  /** Opens every listener; closes again what it opened when one of them fails. */
  async start(): Promise<void> {
    checkServerAddresses(this.#config, interfaceAddresses());
    try {
      await this.#open();
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  async #open(): Promise<void> {
    await listen(this.#internal, this.#config.internal);
    await this.#certificates?.start();
    for (const listener of this.#listeners) await listener.start();
    this.#sweeper = this.#clock.every(SWEEP_MS, () => this.#sweep());
    await this.#control.start();
    this.#listening = true;
    this.#logger.info({ listen: this.#config.listen, port: this.#config.port }, 'turn listening');
  }

  /** Drains: no new allocation, waits for the last one to end or for the deadline, then closes everything. */
  async stop(): Promise<void> {
    this.#listening = false;
    const empty = this.server.drain();
    for (const listener of this.#listeners) listener.stopAccepting();
    this.#logger.info({ allocations: this.server.allocationCount }, 'draining');
    await Promise.race([empty, this.#deadline()]);
    await this.close();
  }

  /** Closes everything at once. */
  async close(): Promise<void> {
    this.#listening = false;
    this.#sweeper?.cancel();
    this.#certificates?.close();
    await this.#control.close();
    await this.tenants.closeAll();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await closeServer(this.#internal);
  }

  #notReady(): string | null {
    if (this.server.draining) return 'draining';
    return this.#listening ? null : 'not listening';
  }

  #deadline(): Promise<void> {
    return new Promise((resolve) => this.#clock.after(this.#config.drainTimeoutMs, resolve));
  }

  #sweep(): void {
    this.server.sweep();
    for (const listener of this.#listeners) listener.sweep();
  }
}
