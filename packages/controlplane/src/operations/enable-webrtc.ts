import { randomBytes } from 'node:crypto';
import { newId, OramaError } from '@orama/core';
import type { EnableWebrtc, OperationStarted } from '@orama/protocol';
import {
  auditStatement,
  guard,
  guardPlaceable,
  type NodeRow,
  type PortAllocationRow,
  raiseChangeCounter,
  type WebrtcConfigRow,
} from '@orama/store';
import { toOperation } from '../api/views.ts';
import { placeNamespace } from '../placement/place.ts';
import { type OperationContext, requireNamespace, retryOnConflict } from './context.ts';
import { stepTargets } from './progress.ts';
import {
  changedSettings,
  defaultTurnSettings,
  mergeTurnSettings,
  relayPortsOf,
  turnSettingsOf,
} from './turn-settings.ts';

/**
 * Begins to enable WebRTC: settings, secret, placement, port blocks and the operation's row in one atomic batch. The
 * nodes do the rest. Nothing is changed when it is enabled already; an enable that runs is handed back.
 * Throws CONFLICT when it is enabled with other TURN settings than the given ones, NAMESPACE_NOT_FOUND, NAMESPACE_BUSY, INVALID_REQUEST, NOT_ENOUGH_NODES, PORTS_EXHAUSTED, CORE_NOT_READY.
 */
export function enableWebrtc(
  context: OperationContext,
  name: string,
  request: EnableWebrtc,
): Promise<OperationStarted> {
  return retryOnConflict(`enabling WebRTC for ${name}`, () => attemptEnable(context, name, request));
}

async function attemptEnable(
  context: OperationContext,
  name: string,
  request: EnableWebrtc,
): Promise<OperationStarted> {
  const { store, clock, config, secrets, failpoints } = context;
  const namespace = await requireNamespace(store, name);
  const settings = await store.webrtc.get(name);
  const running = await store.operations.runningOf(name);
  if (settings?.state === 'disabling') {
    throw new OramaError('NAMESPACE_BUSY', `WebRTC of "${name}" is being disabled; nothing was changed`, {
      retryable: true,
      hint: 'wait until the disable is done, then enable it again',
    });
  }
  if (settings) await requireTurnSettings(store, settings, request);
  if (settings && running?.kind === 'enable-webrtc') {
    return {
      operation: toOperation(running),
      outcome: 'resumed',
      message: `WebRTC of "${name}" is already being enabled`,
    };
  }
  if (settings) {
    return {
      operation: null,
      outcome: 'unchanged',
      message: `WebRTC is already enabled for "${name}" (${describe(settings)}); nothing was changed`,
    };
  }

  const relayPorts = config.ports.turnRelayBlock;
  const turn = mergeTurnSettings(defaultTurnSettings(relayPorts), request.turn, relayPorts);
  const nowMs = clock.now();
  const nodes = await store.nodes.list();
  const allocations = placeNamespace({
    namespace: name,
    nodes,
    allocations: await store.ports.listTaken(),
    sfuNodeCount: request.sfuNodeCount,
    turnNodeCount: request.turnNodeCount,
    allowDegraded: request.allowDegraded,
    ports: { ...config.ports, turnListenPort: config.turn.port, turnTlsPort: config.turn.tlsPort },
    nowMs,
  });
  requireCoreReady(nodes, allocations);

  const generation = namespace.webrtcGeneration + 1;
  const id = newId('op');
  const secret = randomBytes(32).toString('base64url');
  failpoints.hit('enable:before-commit');
  await store.db.batch([
    ...guard('generation is new', 'EXISTS (SELECT 1 FROM namespaces WHERE name = ? AND webrtc_generation = ?)', [
      name,
      namespace.webrtcGeneration,
    ]),
    // One of them may have been drained since.
    ...guardPlaceable(allocations.map(({ nodeId }) => nodeId)),
    store.namespaces.setWebrtcGeneration(name, generation),
    store.webrtc.insert({
      namespace: name,
      turnSharedSecret: secrets.seal(secret, name),
      turnCredentialTtlSec: request.turnCredentialTtlSec,
      sfuNodeCount: request.sfuNodeCount,
      turnNodeCount: request.turnNodeCount,
      turn,
      enabledBy: request.requestedBy,
      enabledAtMs: nowMs,
      generation,
    }),
    ...allocations.map((row) => store.ports.insert(row)),
    store.operations.insert({
      id,
      kind: 'enable-webrtc',
      namespace: name,
      generation,
      requestedBy: request.requestedBy,
      createdAtMs: nowMs,
    }),
    ...stepTargets(allocations).map((step, position) => store.operations.insertStep(id, step.name, position)),
    auditStatement({
      atMs: nowMs,
      actor: request.requestedBy,
      action: 'enable-webrtc',
      namespace: name,
      result: 'begun',
    }),
    raiseChangeCounter,
  ]);
  failpoints.hit('enable:after-commit');
  const operation = await store.operations.get(id);
  return {
    operation: operation && toOperation(operation),
    outcome: 'started',
    message: `enabling WebRTC for "${name}"`,
  };
}

// An enable with other numbers changes nothing either, and the answer shows that.
function describe(settings: WebrtcConfigRow): string {
  const { sfuNodeCount, turnNodeCount, turnCredentialTtlSec } = settings;
  return `${sfuNodeCount} SFU nodes, ${turnNodeCount} TURN nodes, credentials live ${turnCredentialTtlSec} s`;
}

/** Throws CONFLICT naming what differs: whoever asks for a peer policy must not believe to have it. */
async function requireTurnSettings(
  store: OperationContext['store'],
  row: WebrtcConfigRow,
  { turn }: EnableWebrtc,
): Promise<void> {
  const name = row.namespace;
  const before = turnSettingsOf(row);
  const asked = mergeTurnSettings(before, turn, await relayPortsOf(store, name));
  const differences = changedSettings(before, asked);
  if (differences.length === 0) return;
  const words = differences.map((each) => `${each} is ${before[each] ?? 'none'}, not ${asked[each] ?? 'none'}`);
  throw new OramaError(
    'CONFLICT',
    `WebRTC is enabled for "${name}" with other settings: ${words.join(', ')}; nothing was changed`,
    {
      hint: `change them while calls go on with "orama namespace set webrtc --namespace ${name}", which takes the same options`,
    },
  );
}

/** Throws CORE_NOT_READY naming every service that is missing on a chosen node. */
function requireCoreReady(nodes: readonly NodeRow[], allocations: readonly PortAllocationRow[]): void {
  const chosen = new Set(allocations.map((row) => row.nodeId));
  const down = nodes
    .filter((node) => chosen.has(node.id))
    .flatMap((node) => node.core.filter((core) => !core.healthy).map((core) => ({ node: node.id, ...core })));
  if (down.length === 0) return;
  const names = down.map(({ service, node, reason }) => `${service} on ${node}${reason ? ` (${reason})` : ''}`);
  throw new OramaError('CORE_NOT_READY', `not ready: ${names.join(', ')}; nothing was changed`, {
    retryable: true,
    hint: 'wait until the cluster is up (orama node list), or look into the log of the service',
    details: { services: down.map(({ node, service }) => ({ node, service })) },
  });
}
