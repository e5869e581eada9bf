import { OramaError } from '@orama/core';
import type { PortAllocationRow } from '@orama/store';
import { type AllocationRequest, allocate, type Service } from './allocate.ts';
import { canTake, type PlacementNode, rankCandidates } from './candidates.ts';

export interface PlacementRequest extends AllocationRequest {
  nodes: readonly PlacementNode[];
  /** Every block that is taken in the cluster, those that are being left among them. */
  allocations: readonly PortAllocationRow[];
  sfuNodeCount: number;
  turnNodeCount: number;
  /** Whether fewer nodes than asked for will do, but one at least of each. */
  allowDegraded?: boolean;
}

/**
 * Chooses the nodes and port blocks of a namespace, on nodes that are active and reachable, as `rankCandidates` says.
 * Nodes that share an address share its ports. Pure.
 * Throws NOT_ENOUGH_NODES, or PORTS_EXHAUSTED naming the range and the nodes that are full.
 */
export function placeNamespace(request: PlacementRequest): PortAllocationRow[] {
  requireNodes(request);
  const taken = [...request.allocations];
  for (const service of ['sfu', 'turn'] as const) {
    const count = service === 'sfu' ? request.sfuNodeCount : request.turnNodeCount;
    const having: PlacementNode[] = [];
    const full = new Map<string, string>();
    while (having.length < count) {
      const found = placeOne(service, having, taken, request, full);
      if (!found) break;
      taken.push(found.row);
      having.push(found.node);
    }
    if (having.length < (request.allowDegraded ? 1 : count)) throw portsExhausted(service, full);
  }
  return taken.slice(request.allocations.length);
}

/**
 * The next node for a service, with its block; null when none can take it. Pure but for `full`.
 * @param having nodes that serve the namespace with this service
 * @param full receives the range that has no block left, by node
 */
export function placeOne(
  service: Service,
  having: readonly PlacementNode[],
  taken: readonly PortAllocationRow[],
  request: AllocationRequest & { nodes: readonly PlacementNode[] },
  full: Map<string, string> = new Map(),
): { node: PlacementNode; row: PortAllocationRow } | null {
  for (const node of rankCandidates(request.nodes, having, taken)) {
    const row = allocate(service, node, taken, request);
    if (!('exhausted' in row)) return { node, row };
    full.set(node.id, row.exhausted);
  }
  return null;
}

function requireNodes({ nodes, sfuNodeCount, turnNodeCount, allowDegraded }: PlacementRequest): void {
  const usable = nodes.filter(canTake);
  if (usable.length >= (allowDegraded ? 1 : Math.max(sfuNodeCount, turnNodeCount))) return;
  throw new OramaError(
    'NOT_ENOUGH_NODES',
    `the namespace wants SFUs on ${sfuNodeCount} and TURN on ${turnNodeCount} nodes, but only ${usable.length} can take them; nothing was changed`,
    {
      hint: 'bring more nodes up (orama node list), ask for fewer, or take what there is until more come with --allow-degraded',
      details: { nodes: usable.map((node) => node.id) },
    },
  );
}

function portsExhausted(service: Service, full: ReadonlyMap<string, string>): OramaError {
  const ranges = [...new Set(full.values())].join(' and ');
  const nodes = [...full.keys()].sort();
  return new OramaError('PORTS_EXHAUSTED', `no ${ranges} block is left on ${nodes.join(', ')}; nothing was changed`, {
    hint: 'disable WebRTC for a namespace that no longer needs it, add a node, or widen the port range',
    details: { service, ranges: [...full].map(([node, range]) => ({ node, range })) },
  });
}
