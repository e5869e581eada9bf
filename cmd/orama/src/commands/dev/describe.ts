import type { ClusterStatus } from '@orama/protocol';
import type { DevState } from '../../dev/state.ts';
import type { Output } from '../../output/output.ts';
import { renderTable } from '../../output/table.ts';

/** The nodes of a local cluster, and what they say about themselves when they were asked. */
export function describeDevCluster(output: Output, state: DevState, cluster?: ClusterStatus): string {
  const rows = state.nodes.map((node) => {
    const seen = cluster?.nodes.find((candidate) => candidate.id === node.id);
    const health = seen ? describeHealth(seen) : [];
    return [node.id, node.wireguardIp, node.publicIp, node.api, node.gateway, ...health];
  });
  const head = ['node', 'WireGuard', 'public', 'controlplane', 'gateway', ...(cluster ? ['state', 'services'] : [])];
  return renderTable(output, head, rows);
}

function describeHealth({ state, alive, core }: ClusterStatus['nodes'][number]): string[] {
  if (state === 'gone') return ['removed', '-'];
  const drained = state === 'draining' ? ', drained' : '';
  return [`${alive ? 'alive' : 'not answering'}${drained}`, core.map(describeCore).join(', ') || '-'];
}

function describeCore(core: ClusterStatus['nodes'][number]['core'][number]): string {
  return core.healthy
    ? `${core.service} healthy`
    : `${core.service} unhealthy${core.reason ? ` (${core.reason})` : ''}`;
}
