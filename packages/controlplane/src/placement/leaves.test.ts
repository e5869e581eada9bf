import type { PortAllocationRow, ServiceReportRow } from '@orama/store';
import { expect, test } from 'vitest';
import { nodeRow, settings, sfuRow, turnRow } from '../../testing/rows.ts';
import { joinDesired } from '../reconcile/desired.ts';
import { type LeavesRequest, planLeaves } from './leaves.ts';

const DRAINING = nodeRow(1, { state: 'draining' });
const ROWS = [sfuRow('demo', 1), sfuRow('demo', 2), turnRow('demo', 1), turnRow('demo', 2)];

const report = ({ nodeId, namespace, service }: PortAllocationRow, healthy = true): ServiceReportRow => ({
  ...{ nodeId, namespace, service, healthy, desired: 'running', observed: 'running', generation: 1 },
  ...{ reason: null, details: {}, sinceMs: 0, reportedAtMs: 0 },
});

/** What leaves, as `service node`. */
function leaves(changes: Partial<LeavesRequest> = {}, rows: readonly PortAllocationRow[] = ROWS): string[] {
  const placed = rows.map((row) => ({ leavingSinceMs: null, ...row }));
  const left = planLeaves({
    desired: joinDesired([settings('demo')], placed),
    nodes: [DRAINING, nodeRow(2), nodeRow(3)],
    reports: rows.map((row) => report(row)),
    overdue: new Set(),
    awaited: new Set(),
    ...changes,
  });
  return left.map(({ service, nodeId }) => `${service} ${nodeId}`);
}

test('planLeaves takes nothing off nodes that take part, reachable or not', () => {
  expect(leaves({ nodes: [nodeRow(1, { reachable: false }), nodeRow(2)] })).toEqual([]);
});

test('planLeaves lets TURN leave a drained node first, and the SFU once the TURN server there takes nobody any more', () => {
  expect(leaves()).toEqual(['turn node-1']);
  const afterwards = ROWS.map((row) =>
    row.service === 'turn' && row.nodeId === 'node-1' ? { ...row, leavingSinceMs: 1 } : row,
  );
  expect(leaves({}, afterwards)).toEqual([]);
  const drains = nodeRow(1, { state: 'draining', core: [{ service: 'turn', healthy: false }] });
  expect(leaves({ nodes: [drains, nodeRow(2), nodeRow(3)] }, afterwards)).toEqual(['sfu node-1']);
});

test('planLeaves waits until whoever takes over is there and healthy, or the deadline has passed', () => {
  const isUnhealthy = ROWS.map((row) => report(row, row.nodeId === 'node-1'));
  expect(leaves({ reports: isUnhealthy })).toEqual([]);
  expect(leaves({ reports: ROWS.map((row) => ({ ...report(row), generation: 0 })) })).toEqual([]);
  expect(leaves({ awaited: new Set(['turn demo']) })).toEqual([]);
  expect(leaves({ reports: isUnhealthy, overdue: new Set(['node-1']) })).toEqual(['turn node-1', 'sfu node-1']);
});

test('planLeaves leaves the last server of a namespace where it is, whatever the deadline', () => {
  const alone = ROWS.filter(({ nodeId }) => nodeId === 'node-1');
  expect(leaves({ overdue: new Set(['node-1']) }, alone)).toEqual([]);
});

test('planLeaves takes everything off a node that was removed, and off one that died while it was drained', () => {
  const alone = ROWS.filter(({ nodeId }) => nodeId === 'node-1');
  expect(leaves({ nodes: [nodeRow(1, { state: 'gone' }), nodeRow(2)] }, alone)).toEqual(['turn node-1', 'sfu node-1']);
  const died = nodeRow(1, { state: 'draining', reachable: false });
  expect(leaves({ nodes: [died, nodeRow(2)], reports: [] })).toEqual(['turn node-1', 'sfu node-1']);
});
