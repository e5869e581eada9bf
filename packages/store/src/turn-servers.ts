import type { TurnServerAddress } from '@orama/protocol';
import type { NodeRow } from './repositories/nodes.ts';
import type { PortAllocationRow } from './repositories/port-allocations.ts';
import type { ServiceReportRow } from './repositories/service-reports.ts';

/** What the store has of a namespace's TURN servers; rows of other namespaces and services may be among it. */
export interface TurnServerRows {
  ports: readonly PortAllocationRow[];
  nodes: readonly NodeRow[];
  reports: readonly ServiceReportRow[];
}

/**
 * The TURN servers that clients of a namespace are to be led to: those on nodes that are reachable and report that they serve
 * it, so none that is drained or down. All when that leaves none: one that may come back is better than none. Pure.
 */
export function turnServersOf(namespace: string, rows: TurnServerRows): TurnServerAddress[] {
  const servers = rows.ports.flatMap((row) => {
    if (row.service !== 'turn' || row.namespace !== namespace) return [];
    const node = rows.nodes.find(({ id, state }) => id === row.nodeId && state !== 'gone');
    if (!node) return [];
    const serves =
      node.reachable &&
      rows.reports.some(
        (report) =>
          report.nodeId === node.id && report.namespace === namespace && report.service === 'turn' && report.healthy,
      );
    return [{ serves, server: { publicIp: node.publicIp, port: row.listenPort, tlsPort: row.tlsPort } }];
  });
  const serving = servers.filter(({ serves }) => serves);
  return (serving.length > 0 ? serving : servers).map(({ server }) => server);
}
