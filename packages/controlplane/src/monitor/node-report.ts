import { setTimeout as delay } from 'node:timers/promises';
import { describeError } from '@orama/core';
import type { Registry } from '@orama/core/metrics';
import {
  type ControlplaneConfig,
  localAddressOf,
  type NodeReport,
  turnDomain,
  turnServerStatusSchema,
  turnTenantListSchema,
  turnUsageSchema,
} from '@orama/protocol';
import { type Database, RqliteDatabase, type SfuAllocationRow } from '@orama/store';
import { type NodeContext, turnSocketOf } from '../node-context.ts';
import { countFreeBlocks } from '../placement/free-blocks.ts';
import type { View } from '../reconcile/store-view.ts';
import type { HeldUnits } from '../services/held-units.ts';
import {
  CONTROLPLANE_UNIT,
  GATEWAY_UNIT,
  sfuUnit,
  TENANT_UNIT_PREFIX,
  TURN_UNIT,
} from '../services/service-manager.ts';
import { gatewayConfig, turnConfig } from '../tasks/core-service.ts';
import { callTurn, unlessUnknown } from '../turn-control.ts';
import { seeDns } from './dns-seen.ts';
import { loopDelayMs, readExposition, sumOf } from './exposition.ts';
import { probeCertificate, probeMetrics, probeReady, probeSfu, probeStun } from './probes.ts';
import type { ServiceEnds } from './service-ends.ts';
import { within } from './within.ts';

/** Over which the relayed bytes are counted. */
const RATE_WINDOW_MS = 1_000;
const STORE_PATIENCE_MS = 1_500;

export interface NodeReportDeps {
  context: Pick<NodeContext, 'config' | 'clock' | 'services'>;
  /** A connection of its own to the store. */
  storeProbe: Database;
  /** What the store says of the namespaces, or last said. */
  view: View;
  version: string;
  /** Of this controlplane. */
  metrics: Registry;
  ends: ServiceEnds;
  held: HeldUnits;
}

/** Looks at everything on this node by asking it. What does not answer is told as that. */
export async function reportNode(deps: NodeReportDeps): Promise<NodeReport> {
  const { context, storeProbe, view, version, metrics, ends, held } = deps;
  const { config, clock, services } = context;
  const [store, gateway, turn, dns, own, restarts] = await Promise.all([
    seeStore(config, storeProbe),
    seeGateway(config, ends),
    seeTurn(config),
    seeDns(
      config,
      [...view.desired.values()].filter(({ wanted }) => wanted).map((each) => each.config.namespace),
    ),
    metrics.metrics(),
    services.restartsOf(CONTROLPLANE_UNIT).catch(() => null),
  ]);
  const namespaces = await Promise.all(
    [...view.here.values()].map(async ({ config: { namespace }, sfu, turn: turns, wanted }) => {
      const isHere = ({ nodeId }: { nodeId: string }) => nodeId === config.node && wanted;
      const row = sfu.find(isHere);
      const [seenSfu, seenTurn] = await Promise.all([
        row ? seeSfu(row, ends) : null,
        turns.some(isHere) ? seeTenant(config, namespace, { server: turn, ends, nowMs: clock.now() }) : null,
      ]);
      return {
        namespace,
        sfu_up: seenSfu?.up ?? null,
        turn_up: seenTurn && seenTurn.reason === null,
        sfu: seenSfu,
        turn: seenTurn,
      };
    }),
  );
  return {
    node: config.node,
    at: new Date(clock.now()).toISOString(),
    version,
    store,
    controlplane: {
      up: true,
      reason: null,
      restarts: restarts ?? 0,
      event_loop_delay_ms: loopDelayMs(readExposition(own)),
    },
    gateway,
    turn: {
      ...{ up: turn.reason === null, reason: turn.reason, restarts: ends.of(TURN_UNIT), draining: turn.draining },
      held: held.has(TURN_UNIT),
      event_loop_delay_ms: turn.eventLoopDelayMs,
      allocations: turn.allocations,
      relayed_bps: turn.relayedBps === null ? null : [...turn.relayedBps.values()].reduce((sum, bps) => sum + bps, 0),
    },
    port_blocks: countFreeBlocks(config, view.allocations),
    namespaces: namespaces.filter(({ sfu, turn }) => sfu !== null || turn !== null),
    dns,
  };
}

async function seeStore({ store }: ControlplaneConfig, db: Database): Promise<NodeReport['store']> {
  const { driver } = store;
  const beganAtMs = performance.now();
  try {
    await within(STORE_PATIENCE_MS, db.query('SELECT 1'));
    const latency = Math.round((performance.now() - beganAtMs) * 10) / 10;
    if (!(db instanceof RqliteDatabase)) return { up: true, driver, role: null, latency_ms: latency, reason: null };
    const [own, nodes] = await within(STORE_PATIENCE_MS, Promise.all([db.ownNode(), db.cluster.nodes()]));
    // Where others answer in place of this node's rqlited, the store works, and this node of it does not.
    if (own !== null) return { up: false, driver, role: null, latency_ms: latency, reason: own };
    const leads = nodes.some(({ address, leader }) => leader && address === db.cluster.addresses[0]);
    return { up: true, driver, role: leads ? 'leader' : 'follower', latency_ms: latency, reason: null };
  } catch (thrown) {
    return { up: false, driver, role: null, latency_ms: null, reason: describeError(thrown) };
  }
}

async function seeGateway(config: ControlplaneConfig, ends: ServiceEnds): Promise<NodeReport['gateway']> {
  const { internal } = gatewayConfig(config);
  const [reason, metrics] = await Promise.all([probeReady(internal), probeMetrics(internal)]);
  return {
    ...{ up: reason === null, reason, restarts: ends.of(GATEWAY_UNIT) },
    event_loop_delay_ms: loopDelayMs(metrics),
    sessions: sumOf(metrics, 'orama_gateway_signalling_sessions'),
  };
}

async function seeSfu(
  row: SfuAllocationRow,
  ends: ServiceEnds,
): Promise<NonNullable<NodeReport['namespaces'][number]['sfu']>> {
  const internal = { address: row.hostIp, port: row.signalingPort };
  const expected = { namespace: row.namespace, node: row.nodeId };
  const [health, ready, metrics] = await Promise.all([
    probeSfu(internal, expected).catch(describeError),
    probeReady(internal),
    probeMetrics(internal),
  ]);
  const restarts = ends.of(sfuUnit(row.namespace));
  if (typeof health === 'string') {
    return { up: false, reason: health, restarts, event_loop_delay_ms: null, rooms: null, peers: null };
  }
  // One that is busy serves those that it has.
  const reason = health.status === 'draining' ? 'it is draining' : health.status === 'busy' ? null : ready;
  return {
    ...{ up: reason === null, reason, restarts, rooms: health.rooms, peers: health.peers },
    event_loop_delay_ms: loopDelayMs(metrics),
  };
}

/** What the TURN server of this node does. */
interface TurnSeen {
  reason: string | null;
  draining: boolean;
  allocations: number | null;
  eventLoopDelayMs: number | null;
  /** By namespace; null where it was not counted. */
  relayedBps: ReadonlyMap<string, number> | null;
  /** Allocations by namespace that is attached. */
  tenants: ReadonlyMap<string, number>;
}

async function seeTurn(config: ControlplaneConfig): Promise<TurnSeen> {
  const socket = turnSocketOf(config);
  const { listen, port, internal } = turnConfig(config);
  try {
    const [status, { tenants }, relayedBps, metrics, ...silent] = await Promise.all([
      callTurn(socket, turnServerStatusSchema, 'GET', '/status'),
      callTurn(socket, turnTenantListSchema, 'GET', '/tenants'),
      measureRelayed(socket),
      probeMetrics(internal),
      ...listen.map((address) => probeStun(address, port)),
    ]);
    return {
      reason: silent.find((reason) => reason !== null) ?? null,
      draining: status.draining,
      allocations: status.allocations,
      eventLoopDelayMs: loopDelayMs(metrics),
      relayedBps,
      tenants: new Map(tenants.map(({ namespace, allocations }) => [namespace, allocations])),
    };
  } catch (thrown) {
    const nothing = {
      draining: false,
      allocations: null,
      eventLoopDelayMs: null,
      relayedBps: null,
      tenants: new Map(),
    };
    return { ...nothing, reason: describeError(thrown) };
  }
}

/** Bits a second of each tenant, both ways, from two readings; null where the engine does not count, or began anew. */
async function measureRelayed(socket: string): Promise<ReadonlyMap<string, number> | null> {
  const read = () => unlessUnknown(callTurn(socket, turnUsageSchema, 'GET', '/usage'));
  const first = await read();
  const beganAtMs = performance.now();
  if (!first) return null;
  await delay(RATE_WINDOW_MS);
  const second = await read();
  if (second?.boot !== first.boot) return null;
  const bytes = (usage: typeof first) =>
    new Map(usage.tenants.map((tenant) => [tenant.namespace, tenant.toPeerBytes + tenant.toClientBytes]));
  const before = bytes(first);
  const bitsPerByteAndSec = 8_000 / (performance.now() - beganAtMs);
  const rate = ([namespace, now]: [string, number]) =>
    [namespace, Math.round((now - (before.get(namespace) ?? 0)) * bitsPerByteAndSec)] as const;
  return new Map([...bytes(second)].map(rate));
}

async function seeTenant(
  config: ControlplaneConfig,
  namespace: string,
  { server, ends, nowMs }: { server: TurnSeen; ends: ServiceEnds; nowMs: number },
): Promise<NonNullable<NodeReport['namespaces'][number]['turn']>> {
  const allocations = server.tenants.get(namespace) ?? null;
  const tls = { address: localAddressOf(config, config.publicIp), port: config.turn.tlsPort };
  const certificate = await probeCertificate(tls, turnDomain(namespace, config.baseDomain), nowMs).catch(describeError);
  return {
    reason: server.reason ?? (allocations === null ? 'the TURN server does not have it' : null),
    restarts: ends.of(TENANT_UNIT_PREFIX + namespace),
    allocations,
    relayed_bps: server.relayedBps && (server.relayedBps.get(namespace) ?? 0),
    certificate: typeof certificate === 'string' ? null : certificate,
    certificate_reason: typeof certificate === 'string' ? certificate : null,
  };
}
