import type { NodeRow, OperationRow, PortAllocationRow, ServiceReportRow } from '@orama/store';
import type { Advance } from './advance.ts';
import type { StepProgress } from './progress.ts';

/** The step that ends with the node's TURN server itself. */
export const TURN_SERVER_STEP = 'turn-server';

/** The name of the step of a service that leaves its node: `sfu:demo`. */
export function leavingStep({ service, namespace }: Pick<PortAllocationRow, 'service' | 'namespace'>): string {
  return `${service}:${namespace}`;
}

/**
 * How far the drain of a node is: a service's step is done when its block there is free, the TURN server's when it has
 * ended as well. Pure.
 * @param blocks those of the node that are taken
 */
export function advanceDrain(
  { nodeId, steps }: OperationRow,
  blocks: readonly PortAllocationRow[],
  reports: readonly ServiceReportRow[],
  nodes: readonly NodeRow[],
): Advance {
  const node = nodes.find(({ id }) => id === nodeId);
  const server = node?.core.find(({ service }) => service === 'turn');
  const silence = node?.reachable === false ? `${nodeId} is unreachable` : null;
  const progress = steps.map(({ name }): StepProgress => {
    if (name === TURN_SERVER_STEP) {
      const serves = blocks.some(({ service }) => service === 'turn');
      if (!serves && server?.healthy !== true) return { name, state: 'done', detail: null };
      return { name, state: serves ? 'pending' : 'running', detail: silence ?? 'its allocations end' };
    }
    const block = blocks.find((each) => leavingStep(each) === name);
    if (!block) return { name, state: 'done', detail: null };
    const report = reports.find(
      (each) => each.nodeId === nodeId && each.namespace === block.namespace && each.service === block.service,
    );
    const leaves = report?.desired === 'absent';
    const detail = silence ?? (leaves ? report.reason : 'waiting for another node to take over');
    return { name, state: 'running', detail };
  });
  const isDone = progress.every(({ state }) => state === 'done');
  return { progress, next: isDone ? { statements: [], ends: true } : null };
}
