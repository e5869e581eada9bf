import { hostPort } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import type { NodeRow } from '@orama/store';
import type { View } from '../reconcile/store-view.ts';
import { gatewayConfig, turnConfig } from '../tasks/core-service.ts';

/** An entry of what Prometheus calls HTTP service discovery. */
export interface ScrapeTarget {
  targets: string[];
  labels: Record<string, string>;
}

/** Where every process of the cluster has its `/metrics`. Ports of other nodes are taken for those of this one. Pure. */
export function scrapeTargets(
  config: ControlplaneConfig,
  nodes: readonly NodeRow[],
  { desired }: Pick<View, 'desired'>,
): ScrapeTarget[] {
  const ports = {
    controlplane: config.api.port,
    gateway: gatewayConfig(config).internal.port,
    turn: turnConfig(config).internal.port,
  };
  const own = nodes
    .filter(({ state }) => state !== 'gone')
    .flatMap(({ id, wireguardIp }) =>
      Object.entries(ports).map(([process, port]) => ({
        targets: [hostPort(wireguardIp, port)],
        labels: { process, node: id },
      })),
    );
  const sfus = [...desired.values()].flatMap(({ wanted, sfu }) =>
    (wanted ? sfu : []).map(({ hostIp, signalingPort, nodeId, namespace }) => ({
      targets: [hostPort(hostIp, signalingPort)],
      labels: { process: 'sfu', node: nodeId, ns: namespace },
    })),
  );
  return [...own, ...sfus];
}
