import type { NodeRow, SfuAllocationRow, TurnAllocationRow, WebrtcConfigRow } from '@orama/store';

/** Settings of an enabled namespace. */
export function settings(namespace: string, turnSharedSecret = ''): WebrtcConfigRow {
  return {
    namespace,
    state: 'enabled',
    turnSharedSecret,
    nextTurnSharedSecret: null,
    previousTurnSharedSecret: null,
    previousSecretExpiresAtMs: null,
    retiredTurnSharedSecrets: [],
    turnCredentialTtlSec: 600,
    sfuNodeCount: 3,
    turnNodeCount: 2,
    peerPolicy: 'sfu',
    maxAllocations: 800,
    maxAllocationsPerUsername: 400,
    bytesPerSec: null,
    allocationBytesPerSec: null,
    enabledBy: 'operator',
    enabledAtMs: 0,
    disabledAtMs: null,
    generation: 1,
  };
}

/** The first TURN block of a node. */
export function turnRow(namespace: string, node: number): TurnAllocationRow & { leavingSinceMs: null } {
  return {
    service: 'turn',
    nodeId: `node-${node}`,
    hostIp: `127.83.0.${node}`,
    namespace,
    allocatedAtMs: 0,
    leavingSinceMs: null,
    listenPort: 3478,
    tlsPort: 5349,
    relayPortStart: 49_152,
    relayPortEnd: 49_951,
  };
}

/** The first SFU block of a node. */
export function sfuRow(namespace: string, node: number): SfuAllocationRow & { leavingSinceMs: null } {
  return {
    service: 'sfu',
    nodeId: `node-${node}`,
    hostIp: `127.83.0.${node}`,
    namespace,
    allocatedAtMs: 0,
    leavingSinceMs: null,
    signalingPort: 30_000,
    mediaPortStart: 20_000,
    mediaPortEnd: 20_499,
  };
}

/** A node that is reachable and whose TURN server is healthy. */
export function nodeRow(node: number, overrides: Partial<NodeRow> = {}): NodeRow {
  return {
    id: `node-${node}`,
    name: `node-${node}`,
    wireguardIp: `127.83.0.${node}`,
    publicIp: `127.83.1.${node}`,
    publicIp6: null,
    wireguard: null,
    region: 'default',
    capacity: 100,
    version: '0',
    state: 'active',
    core: [{ service: 'turn', healthy: true }],
    load: { relayedBytesPerSec: 0, loopDelayMs: 0 },
    lastSeenAtMs: 0,
    beats: 1,
    reachable: true,
    reachableSinceMs: 0,
    ...overrides,
  };
}
