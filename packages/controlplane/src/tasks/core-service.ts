import { createHash } from 'node:crypto';
import { describeError, writeFileAtomic } from '@orama/core';
import { gatewayConfigSchema, HTTPS_PORT, localAddressOf, type TurnConfig, turnConfigSchema } from '@orama/protocol';
import type { CoreServiceStatus } from '@orama/store';
import { callHttp } from '../http-call.ts';
import { type NodeContext, nodePaths } from '../node-context.ts';
import type { Action, Task } from '../reconcile/task.ts';
import { type CrashBackoff, recheckMs } from '../services/crash-backoff.ts';
import { drainedReason, type HeldUnits } from '../services/held-units.ts';
import { clusterKeyFileOf, commandOf } from '../services/open.ts';
import { GATEWAY_UNIT, TURN_UNIT } from '../services/service-manager.ts';
import { planUnits } from '../services/unit-plan.ts';

type CoreName = 'gateway' | 'turn';
const UNITS: Record<CoreName, string> = { gateway: GATEWAY_UNIT, turn: TURN_UNIT };

/** The gateway's drain deadline as it is unless configured. */
export const GATEWAY_DRAIN_MS = 10_000;
/**
 * What a service gets beyond its drain deadline to end by itself before it is killed. A TURN server waits up to a second
 * and a half of it for the last reading of its usage.
 */
export const STOP_MARGIN_MS = 4_000;

/** Where an ACME authority comes to (RFC 8555 section 8.3). */
const HTTP_PORT = 80;

interface CoreService {
  name: CoreName;
  unit: string;
  configText: string;
  configDigest: string;
  /** How long it waits for its clients when it is stopped. */
  drainTimeoutMs: number;
  /** Internal address of its /readyz. */
  internal: { address: string; port: number };
}

type CoreAction = Action & { kind: 'core-start' | 'core-stop' };

/** A task about one of the services that a node needs before those of namespaces. */
export interface CoreTask extends Task {
  /** What the last run saw. */
  readonly status: CoreServiceStatus;
  /** Resolves when the service is ready for the first time, or an operator keeps it down. */
  readonly ready: Promise<void>;
}

/** Keeps one of the node's own services running, gateway or TURN server, with the configuration derived from ours. */
export class CoreServiceTask implements Task<CoreAction>, CoreTask {
  readonly name: string;
  readonly #core: CoreService;
  readonly #config: NodeContext['config'];
  readonly #services: NodeContext['services'];
  readonly #clock: NodeContext['clock'];
  readonly #backoff: CrashBackoff;
  readonly #held: HeldUnits;
  readonly #onChange: () => void;
  readonly #ready = Promise.withResolvers<void>();
  #status: CoreServiceStatus;

  /** @param onChange told when the service became ready, or no longer is */
  constructor(
    context: Pick<NodeContext, 'config' | 'services' | 'clock'>,
    service: CoreName,
    backoff: CrashBackoff,
    held: HeldUnits,
    onChange: () => void,
  ) {
    this.name = `core:${service}`;
    this.#config = context.config;
    this.#services = context.services;
    this.#clock = context.clock;
    this.#backoff = backoff;
    this.#held = held;
    this.#core = coreService(service, context.config);
    this.#onChange = onChange;
    this.#status = { service, healthy: false, reason: 'not started yet' };
  }

  get status(): CoreServiceStatus {
    return this.#status;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  async plan(): Promise<CoreAction[]> {
    const observed = (await this.#services.list()).filter(({ unit }) => unit === this.#core.unit);
    const mayStart = (unit: string) => this.#backoff.waitMs(unit) === 0;
    const steps = planUnits([this.#core], observed, mayStart, (unit) => this.#held.has(unit));
    return steps.map((step) => ({ kind: `core-${step.do}` as const, subject: step.unit, reason: step.reason }));
  }

  async apply(action: CoreAction): Promise<void> {
    const { unit, name, configText, configDigest, drainTimeoutMs } = this.#core;
    if (action.kind === 'core-stop') return this.#services.stop(unit, drainTimeoutMs + STOP_MARGIN_MS);
    const configFile = nodePaths(this.#config.dataDir).unitConfig(unit);
    await writeFileAtomic(configFile, configText);
    const command = commandOf(this.#config, name, configFile);
    try {
      await this.#services.start({ unit, command, configDigest, health: this.#core.internal });
    } catch (thrown) {
      this.#backoff.noteFailedStart(unit, describeError(thrown));
      throw thrown;
    }
  }

  async report(): Promise<number | null> {
    const state = (await this.#services.list()).find(({ unit }) => unit === this.#core.unit);
    const before = this.#status;
    this.#status = state && state.phase !== 'ended' ? await this.#probe() : this.#down(this.#whyAbsent());
    // What is kept down is not waited for.
    if (this.#status.healthy || (!state && this.#held.has(this.#core.unit))) this.#ready.resolve();
    if (before.healthy !== this.#status.healthy || before.reason !== this.#status.reason) this.#onChange();
    return this.#status.healthy ? null : recheckMs(this.#core.unit, state, this.#backoff, this.#clock.now());
  }

  async #probe(): Promise<CoreServiceStatus> {
    try {
      const answer = await callHttp(this.#core.internal, 'GET', '/readyz');
      if (answer.status !== 200) return this.#down(`not ready: ${reasonOf(answer.body)}`);
      return { service: this.#core.name, healthy: true };
    } catch (thrown) {
      return this.#down(`not ready: ${describeError(thrown)}`);
    }
  }

  #whyAbsent(): string {
    if (this.#held.has(this.#core.unit)) return drainedReason(this.#config.node, this.#held);
    return this.#backoff.reason(this.#core.unit) ?? 'not running';
  }

  #down(reason: string): CoreServiceStatus {
    return { service: this.#core.name, healthy: false, reason };
  }
}

function coreService(name: CoreName, config: NodeContext['config']): CoreService {
  const derived = name === 'gateway' ? gatewayConfig(config) : turnConfig(config);
  const configText = `${JSON.stringify(derived, null, 2)}\n`;
  return {
    name,
    unit: UNITS[name],
    configText,
    configDigest: createHash('sha256').update(configText).digest('hex'),
    drainTimeoutMs: derived.drainTimeoutMs,
    internal: derived.internal,
  };
}

/** Configuration of the node's gateway. Pure. */
export function gatewayConfig(config: NodeContext['config']) {
  const isBehindCaddy = config.certificates.source === 'caddy';
  // Its requests come from this machine, and say where they came from to it.
  const caddys = isBehindCaddy ? ['127.0.0.1', '::1'] : [];
  return gatewayConfigSchema.parse({
    node: config.node,
    listen: config.gateway.listen,
    internal: { address: config.wireguardIp },
    baseDomain: config.baseDomain,
    store: config.store,
    clusterKeyFile: clusterKeyFileOf(config, GATEWAY_UNIT),
    turnAdvertise: config.turn.advertise,
    turnPort443: config.turn.port443,
    callPage: config.gateway.callPage,
    ...(config.gateway.operatorApi && {
      operatorApi: {
        ...config.gateway.operatorApi,
        controlplane: { address: config.wireguardIp, port: config.api.port },
      },
    }),
    trustedProxies: [...new Set([...caddys, ...config.gateway.trustedProxies])],
    ...(isBehindCaddy && { acmeChallengePort: HTTP_PORT }),
    drainTimeoutMs: GATEWAY_DRAIN_MS,
    logLevel: config.logLevel,
  });
}

/** Configuration of the node's TURN server. Pure. */
export function turnConfig(config: NodeContext['config']): TurnConfig {
  const { turn } = config;
  const publicAddresses = [config.publicIp, ...(config.publicIp6 === undefined ? [] : [config.publicIp6])];
  const listen = publicAddresses.map((address) => localAddressOf(config, address));
  return turnConfigSchema.parse({
    node: config.node,
    listen,
    port: turn.port,
    tls: {
      port: turn.tlsPort,
      certFile: turn.certFile,
      keyFile: turn.keyFile,
      ...(turn.port443 && { shared: { port: HTTPS_PORT, https: turn.httpsServer } }),
    },
    external: turn.external,
    workers: turn.workers,
    realm: config.baseDomain,
    controlSocket: nodePaths(config.dataDir).turnControlSocket,
    internal: { address: config.wireguardIp },
    ownAddresses: [...new Set([config.wireguardIp, ...publicAddresses, ...listen])],
    defaultLifetimeSec: turn.defaultLifetimeSec,
    nonceLifetimeSec: turn.nonceLifetimeSec,
    maxTcpConnections: turn.maxTcpConnections,
    maxTcpConnectionsPerSource: turn.maxTcpConnectionsPerSource,
    maxAllocationsPerSource: turn.maxAllocationsPerSource,
    unauthenticatedRate: turn.unauthenticatedRate,
    drainTimeoutMs: turn.drainTimeoutMs,
    logLevel: config.logLevel,
  });
}

function reasonOf(body: string): string {
  try {
    const { reason } = JSON.parse(body) as { reason?: unknown };
    if (typeof reason === 'string') return reason;
  } catch {
    // Not ours to explain; the text itself is shown.
  }
  return body.slice(0, 200);
}
