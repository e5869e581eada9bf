import type {
  ClusterStatus,
  ControlplaneConfig,
  Namespace,
  NodeStatus,
  Operation,
  TurnServerStatus,
  TurnServerView,
} from '@orama/protocol';
import type { NamespaceRow, NodeRow, OperationRow, WebrtcConfigRow } from '@orama/store';

const iso = (ms: number) => new Date(ms).toISOString();

export function toNamespace(row: NamespaceRow, settings: WebrtcConfigRow | null): Namespace {
  return { name: row.name, owner: row.owner, webrtc: settings?.state ?? 'off', createdAt: iso(row.createdAtMs) };
}

export function toOperation(row: OperationRow): Operation {
  return {
    id: row.id,
    kind: row.kind,
    namespace: row.namespace,
    node: row.nodeId,
    ...(row.deadlineAtMs !== null && { deadlineAt: iso(row.deadlineAtMs) }),
    state: row.state,
    steps: row.steps.map((step) => ({
      name: step.name,
      state: step.state,
      ...(step.detail !== null && { detail: step.detail }),
      ...(step.startedAtMs !== null && { startedAt: iso(step.startedAtMs) }),
      ...(step.finishedAtMs !== null && { finishedAt: iso(step.finishedAtMs) }),
    })),
    ...(row.errorCode !== null && { error: { code: row.errorCode, message: row.errorMessage ?? '' } }),
    requestedBy: row.requestedBy,
    createdAt: iso(row.createdAtMs),
    ...(row.finishedAtMs !== null && { finishedAt: iso(row.finishedAtMs) }),
  };
}

export function toTurnServerView({ drainEndsAt, certificates, ...status }: TurnServerStatus): TurnServerView {
  return {
    ...status,
    ...(drainEndsAt !== undefined && { drainEndsAt: iso(drainEndsAt) }),
    certificates: certificates.map((certificate) => ({ ...certificate, notAfter: iso(certificate.notAfter) })),
  };
}

export function toClusterStatus(config: ControlplaneConfig, version: string, nodes: readonly NodeRow[]): ClusterStatus {
  return {
    clusterId: config.clusterId,
    baseDomain: config.baseDomain,
    version,
    nodes: nodes.map(toNodeStatus),
  };
}

export function toNodeStatus(node: NodeRow): NodeStatus {
  return {
    id: node.id,
    wireguardIp: node.wireguardIp,
    publicIp: node.publicIp,
    region: node.region,
    state: node.state,
    alive: node.reachable,
    lastSeenAt: iso(node.lastSeenAtMs),
    core: node.core,
  };
}
