import { OramaError } from '@orama/core';
import type { NodeRow, PortAllocationRow, SfuAllocationRow, TurnAllocationRow } from '@orama/store';
import { freeBlock, type PortBlock, without } from './port-blocks.ts';

/** Where WireGuard listens unless told otherwise, which every node has: a relay block around it would have a port too few. */
const WIREGUARD_PORT = 51_820;

/** Ranges and block sizes, as configured. */
export interface PortRanges {
  sfuSignaling: PortBlock;
  sfuMedia: PortBlock;
  sfuMediaBlock: number;
  turnRelay: PortBlock;
  turnRelayBlock: number;
  turnListenPort: number;
  turnTlsPort: number;
}

export interface PlacementRequest {
  namespace: string;
  /** Nodes that may take services: active and alive. */
  nodes: readonly Pick<NodeRow, 'id' | 'wireguardIp'>[];
  /** Every block in use in the cluster. */
  allocations: readonly PortAllocationRow[];
  sfuNodeCount: number;
  turnNodeCount: number;
  ports: PortRanges;
  nowMs: number;
}

/**
 * Chooses the nodes and port blocks of a namespace: the nodes with the fewest blocks in use, ties by id. Nodes that
 * share an address share its ports. Pure.
 * Throws NOT_ENOUGH_NODES, or PORTS_EXHAUSTED naming the range and the nodes that are full.
 */
export function placeNamespace(request: PlacementRequest): PortAllocationRow[] {
  const { nodes, sfuNodeCount, turnNodeCount } = request;
  const missing = Math.max(sfuNodeCount, turnNodeCount) - nodes.length;
  if (missing > 0) {
    throw new OramaError(
      'NOT_ENOUGH_NODES',
      `the namespace wants SFUs on ${sfuNodeCount} and TURN on ${turnNodeCount} nodes, but only ${nodes.length} can take them`,
      {
        hint: 'bring more nodes up (orama dev status), or ask for fewer',
        details: { nodes: nodes.map((node) => node.id) },
      },
    );
  }
  const taken = [...request.allocations];
  for (const service of ['sfu', 'turn'] as const) {
    const count = service === 'sfu' ? sfuNodeCount : turnNodeCount;
    const load = new Map(nodes.map((node) => [node.id, taken.filter((row) => row.nodeId === node.id).length]));
    const candidates = [...nodes].sort(
      (a, b) => (load.get(a.id) ?? 0) - (load.get(b.id) ?? 0) || (a.id < b.id ? -1 : 1),
    );
    const full: { node: string; range: string }[] = [];
    let chosen = 0;
    for (const node of candidates) {
      if (chosen === count) break;
      const row = allocate(service, node, taken, request);
      if ('exhausted' in row) {
        full.push({ node: node.id, range: row.exhausted });
        continue;
      }
      taken.push(row);
      chosen += 1;
    }
    if (chosen < count) throw portsExhausted(service, full);
  }
  return taken.slice(request.allocations.length);
}

function allocate(
  service: 'sfu' | 'turn',
  node: Pick<NodeRow, 'id' | 'wireguardIp'>,
  taken: readonly PortAllocationRow[],
  request: PlacementRequest,
): PortAllocationRow | { exhausted: string } {
  const { ports } = request;
  const base = {
    nodeId: node.id,
    hostIp: node.wireguardIp,
    namespace: request.namespace,
    allocatedAtMs: request.nowMs,
  };
  const here = taken.filter((row) => row.hostIp === node.wireguardIp);
  if (service === 'sfu') {
    const sfus = here.filter((row): row is SfuAllocationRow => row.service === 'sfu');
    const signaling = freeBlock(
      ports.sfuSignaling,
      1,
      sfus.map((row) => ({ start: row.signalingPort, end: row.signalingPort })),
    );
    if (!signaling) return { exhausted: rangeName('SFU signalling', ports.sfuSignaling) };
    const media = freeBlock(
      ports.sfuMedia,
      ports.sfuMediaBlock,
      sfus.map((row) => ({ start: row.mediaPortStart, end: row.mediaPortEnd })),
    );
    if (!media) return { exhausted: rangeName('SFU media', ports.sfuMedia) };
    return {
      ...base,
      service,
      signalingPort: signaling.start,
      mediaPortStart: media.start,
      mediaPortEnd: media.end,
    };
  }
  const turns = here.filter((row): row is TurnAllocationRow => row.service === 'turn');
  const used = turns.map((row) => ({ start: row.relayPortStart, end: row.relayPortEnd }));
  const relay = without(ports.turnRelay, [WIREGUARD_PORT])
    .map((part) => freeBlock(part, ports.turnRelayBlock, used))
    .find((block) => block !== null);
  if (!relay) return { exhausted: rangeName('TURN relay', ports.turnRelay) };
  return {
    ...base,
    service,
    listenPort: ports.turnListenPort,
    tlsPort: ports.turnTlsPort,
    relayPortStart: relay.start,
    relayPortEnd: relay.end,
  };
}

function rangeName(what: string, range: PortBlock): string {
  return `${what} ${range.start}-${range.end}`;
}

function portsExhausted(service: 'sfu' | 'turn', full: { node: string; range: string }[]): OramaError {
  const ranges = [...new Set(full.map((entry) => entry.range))].join(' and ');
  const nodes = full.map((entry) => entry.node).sort();
  return new OramaError('PORTS_EXHAUSTED', `no ${ranges} block is left on ${nodes.join(', ')}; nothing was changed`, {
    hint: 'disable WebRTC for a namespace that no longer needs it, add a node, or widen the port range',
    details: { service, ranges: full },
  });
}
