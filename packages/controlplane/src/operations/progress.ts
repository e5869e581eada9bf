import type { NodeRow, OperationKind, PortAllocationRow, ServiceReportRow, StepState } from '@orama/store';
import { CLUSTER_REPORTER } from '../tasks/dns.ts';

/** A step of an operation: one service of one node, or `dns`. */
export interface StepTarget {
  /** `sfu:node-1`, `turn:node-2`, `state-file:node-1`, `dns`. */
  name: string;
  service: string;
  nodeId: string;
}

export interface StepProgress {
  name: string;
  state: StepState;
  /** What is being waited for. */
  detail: string | null;
}

/** The steps of an operation about a namespace with these blocks, in the order they are shown. */
export function stepTargets(allocations: readonly PortAllocationRow[]): StepTarget[] {
  const ofService = (service: 'turn' | 'sfu') => allocations.filter((row) => row.service === service);
  const nodes = [...new Set(allocations.map((row) => row.nodeId))].sort();
  return [
    ...ofService('turn').map(({ nodeId }) => ({ name: `turn:${nodeId}`, service: 'turn', nodeId })),
    ...ofService('sfu').map(({ nodeId }) => ({ name: `sfu:${nodeId}`, service: 'sfu', nodeId })),
    { name: 'dns', service: 'dns', nodeId: CLUSTER_REPORTER },
    ...nodes.map((nodeId) => ({ name: `state-file:${nodeId}`, service: 'state-file', nodeId })),
  ];
}

/**
 * How far each step is, by the reports of the nodes. A disable's step is done when its service is confirmed gone, any
 * other's when its service is healthy with the operation's generation, or a later one. Pure.
 */
export function progressOf(
  operation: { kind: OperationKind; generation: number },
  targets: readonly StepTarget[],
  reports: readonly ServiceReportRow[],
  nodes: readonly NodeRow[],
): StepProgress[] {
  return targets.map(({ name, service, nodeId }) => {
    const report = reports.find(
      (one) => one.service === service && one.nodeId === nodeId && one.generation >= operation.generation,
    );
    const disabling = operation.kind === 'disable-webrtc';
    if (report?.desired === (disabling ? 'absent' : 'running')) {
      if (disabling ? report.observed === 'absent' : report.healthy) return { name, state: 'done', detail: null };
    }
    const node = nodes.find(({ id }) => id === nodeId);
    // Nobody will ever confirm it.
    if (disabling && node?.state === 'gone') return { name, state: 'done', detail: null };
    if (node?.reachable === false) return { name, state: 'running', detail: `${nodeId} is unreachable` };
    if (!report) return { name, state: 'pending', detail: null };
    return { name, state: 'running', detail: report.reason };
  });
}
