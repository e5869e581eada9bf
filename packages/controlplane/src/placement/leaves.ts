import type { NodeRow, PortAllocationRow, ServiceReportRow } from '@orama/store';
import type { Desired, DesiredNamespace } from '../reconcile/desired.ts';
import { canTake } from './candidates.ts';

export interface LeavesRequest {
  desired: Desired;
  nodes: readonly NodeRow[];
  reports: readonly ServiceReportRow[];
  /** Drained nodes whose deadline has passed: others need not be healthy any more. */
  overdue: ReadonlySet<string>;
  /** Services that another node is about to take over, as `service namespace`. */
  awaited: ReadonlySet<string>;
}

/** What names a service of a namespace. */
export function serviceKey({ service, namespace }: Pick<PortAllocationRow, 'service' | 'namespace'>): string {
  return `${service} ${namespace}`;
}

/**
 * The services that are to end on nodes that are drained or were removed: those of drained nodes once the others that the
 * namespace has are healthy. TURN goes before the SFU, and the node's TURN server has to take no allocations any more: so
 * whoever the SFU sends away is led to other TURN servers, and is sent away once.
 * The last server of a namespace stays. Pure.
 */
export function planLeaves(request: LeavesRequest): PortAllocationRow[] {
  return [...request.desired.values()].filter(({ wanted }) => wanted).flatMap((each) => leavesOf(each, request));
}

function leavesOf(
  { config, sfu, turn }: DesiredNamespace,
  { nodes, reports, overdue, awaited }: LeavesRequest,
): PortAllocationRow[] {
  const nodeOf = (row: PortAllocationRow) => nodes.find(({ id }) => id === row.nodeId);
  const stays = (row: PortAllocationRow) => {
    const node = nodeOf(row);
    return node !== undefined && canTake(node);
  };
  const isHealthy = (row: PortAllocationRow) =>
    reports.some(
      ({ nodeId, namespace, service, healthy, generation }) =>
        nodeId === row.nodeId &&
        namespace === row.namespace &&
        service === row.service &&
        healthy &&
        generation === config.generation,
    );
  const leaving = (rows: readonly PortAllocationRow[], mayLeave: boolean) => {
    const others = rows.filter(stays);
    return rows.filter((row) => {
      const node = nodeOf(row);
      if (!node || node.state === 'gone') return true;
      if (node.state !== 'draining' || others.length === 0) return false;
      if (overdue.has(node.id) || !node.reachable) return true;
      return mayLeave && !awaited.has(serviceKey(row)) && others.every(isHealthy);
    });
  };
  const ofTurn = leaving(turn, true);
  const turnHasLeft = sfu.every((row) => nodeOf(row)?.state !== 'draining' || !servesTurn(nodeOf(row)));
  return [...ofTurn, ...leaving(sfu, turnHasLeft)];
}

/** Whether a node's TURN server takes allocations, as far as the node says. */
function servesTurn(node: NodeRow | undefined): boolean {
  return node?.core.some(({ service, healthy }) => service === 'turn' && healthy) === true;
}
