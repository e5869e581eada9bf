import {
  guard,
  guardPlaceable,
  type PortAllocationRow,
  raiseChangeCounter,
  type Statement,
  type Store,
  type TakenBlockRow,
} from '@orama/store';
import type { AllocationRequest, Service } from './allocate.ts';
import { canTake, type PlacementNode } from './candidates.ts';
import { placeOne } from './place.ts';

/** A service of a namespace that is to run on another node. */
export interface Move {
  /** The block that is left; null where a namespace gets a node that it was short of. */
  from: PortAllocationRow | null;
  to: PortAllocationRow;
}

export interface MovesRequest extends Omit<AllocationRequest, 'namespace'> {
  /** Namespaces with WebRTC on, and on how many nodes they want each service. */
  namespaces: readonly { namespace: string; sfuNodeCount: number; turnNodeCount: number }[];
  nodes: readonly PlacementNode[];
  /** Every block that is taken in the cluster. */
  allocations: readonly TakenBlockRow[];
}

/**
 * What moves where because its node is gone, draining or unreachable, and which namespaces get nodes that they were
 * short of. A node takes nothing over while one of its own services is not ready. What runs on a node that may keep it stays; so does what no other node can take, for the node may come back.
 * A node that a service has not left yet takes it only once its block there is free. Pure.
 */
export function planMoves({ namespaces, allocations, ...request }: MovesRequest): Move[] {
  const taken: PortAllocationRow[] = [...allocations];
  const byNamespace = Map.groupBy(allocations, (row) => row.namespace);
  const names = [...namespaces].sort((a, b) => (a.namespace < b.namespace ? -1 : 1));
  return names.flatMap(({ namespace, sfuNodeCount, turnNodeCount }) =>
    (['sfu', 'turn'] as const).flatMap((service) => {
      const rows = (byNamespace.get(namespace) ?? []).filter((row) => row.service === service);
      const asked = service === 'sfu' ? sfuNodeCount : turnNodeCount;
      return movesOf(service, rows, asked, taken, { ...request, namespace });
    }),
  );
}

function movesOf(
  service: Service,
  rows: readonly TakenBlockRow[],
  asked: number,
  taken: PortAllocationRow[],
  request: AllocationRequest & { nodes: readonly PlacementNode[] },
): Move[] {
  const nodeOf = (row: PortAllocationRow) => request.nodes.find(({ id }) => id === row.nodeId);
  const mayStay = (row: PortAllocationRow) => {
    const node = nodeOf(row);
    return node !== undefined && canTake(node);
  };
  const placed = rows.filter((row) => row.leavingSinceMs === null).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const staying = placed.filter(mayStay);
  const isUnreachable = (row: PortAllocationRow) => !nodeOf(row)?.reachable;
  // Should there be nodes for some of them only: first what serves nobody.
  const lost = placed
    .filter((row) => !mayStay(row))
    .sort((a, b) => Number(isUnreachable(b)) - Number(isUnreachable(a)));
  const missing = Array.from({ length: Math.max(0, asked - placed.length) }, () => null);
  // Its other nodes count for the spread; those that still have a block of it cannot take another.
  const having = staying.flatMap((row) => nodeOf(row) ?? []);
  const blocked = new Set(rows.map((row) => row.nodeId));
  // A DNS server has others beside it: that one is away keeps no service from here.
  const isWell = ({ core }: (typeof request.nodes)[number]) =>
    core.every(({ service, healthy }) => healthy || service === 'dns');
  const nodes = request.nodes.filter((node) => !blocked.has(node.id) && isWell(node));
  const moves: Move[] = [];
  for (const from of [...lost.slice(0, Math.max(0, asked - staying.length)), ...missing]) {
    const found = placeOne(service, having, taken, { ...request, nodes });
    if (!found) break;
    taken.push(found.row);
    having.push(found.node);
    moves.push({ from: from && withoutLeaving(from), to: found.row });
  }
  return moves;
}

/** The row as `ports.insert` takes it. */
function withoutLeaving(row: PortAllocationRow & { leavingSinceMs?: number | null }): PortAllocationRow {
  const { leavingSinceMs: _, ...rest } = row;
  return rest;
}

/**
 * Statements that make a move, for a batch that is refused when WebRTC was disabled meanwhile, the node can take
 * nothing any more, or the block was left or taken by another one.
 */
export function moveStatements({ ports }: Pick<Store, 'ports'>, { from, to }: Move): Statement[] {
  return [
    ...guard(
      'webrtc is on',
      `EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ? AND state <> 'disabling')`,
      [to.namespace],
    ),
    ...guardPlaceable([to.nodeId]),
    ...(from
      ? [
          ...guard(
            'the block is not left yet',
            'EXISTS (SELECT 1 FROM webrtc_port_allocations WHERE node_id = ? AND namespace = ? AND service_type = ? AND leaving_at IS NULL)',
            [from.nodeId, from.namespace, from.service],
          ),
          ports.leave(from, to.allocatedAtMs),
        ]
      : []),
    ports.insert(to),
    raiseChangeCounter,
  ];
}
