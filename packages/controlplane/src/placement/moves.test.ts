import { OramaError } from '@orama/core';
import type { PortAllocationRow, TakenBlockRow } from '@orama/store';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeRow, sfuRow, turnRow } from '../../testing/rows.ts';
import type { PortRanges } from './allocate.ts';
import { canTake, type PlacementNode } from './candidates.ts';
import { type Move, planMoves } from './moves.ts';
import { placeNamespace } from './place.ts';

const PORTS: PortRanges = {
  sfuSignaling: { start: 30_000, end: 30_007 },
  sfuMedia: { start: 20_000, end: 23_999 },
  sfuMediaBlock: 500,
  turnRelay: { start: 60_000, end: 63_999 },
  turnRelayBlock: 500,
  turnListenPort: 3478,
  turnTlsPort: 5349,
};
const TURN_ON_TWO = { namespace: 'demo', sfuNodeCount: 0, turnNodeCount: 2 };
const moves = (nodes: PlacementNode[], allocations: TakenBlockRow[], namespaces = [TURN_ON_TWO]) =>
  planMoves({ namespaces, nodes, allocations, ports: PORTS, nowMs: 9 });
const words = (plan: readonly Move[]) => plan.map(({ from, to }) => `${from?.nodeId ?? 'nowhere'} to ${to.nodeId}`);
const unreachable = { reachable: false };
const draining = { state: 'draining' } as const;

test('planMoves replaces a node that is unreachable, draining, gone or unknown, and moves nothing else', () => {
  const rows = [turnRow('demo', 1), turnRow('demo', 2)];
  const others = [nodeRow(2), nodeRow(3)];
  expect(moves([nodeRow(1), ...others], rows)).toEqual([]);
  for (const first of [unreachable, draining, { state: 'gone' } as const])
    expect(words(moves([nodeRow(1, first), ...others], rows))).toEqual(['node-1 to node-3']);
  expect(words(moves(others, rows))).toEqual(['node-1 to node-3']);
  const [move] = moves([nodeRow(1, unreachable), ...others], rows);
  expect(move?.to).toMatchObject({ namespace: 'demo', service: 'turn', hostIp: '127.83.0.3', allocatedAtMs: 9 });
  expect(move?.from).not.toHaveProperty('leavingSinceMs');
});

test('planMoves leaves what no other node can take, and takes first from nodes that serve nobody', () => {
  const rows = [turnRow('demo', 1), turnRow('demo', 2)];
  expect(moves([nodeRow(1), nodeRow(2, unreachable)], rows)).toEqual([]);
  const unready = nodeRow(3, { core: [{ service: 'turn', healthy: false }] });
  expect(moves([nodeRow(1), nodeRow(2, unreachable), unready], rows)).toEqual([]);
  const withoutDns = nodeRow(3, { core: [{ service: 'dns', healthy: false }] });
  for (const third of [nodeRow(3), withoutDns])
    expect(words(moves([nodeRow(1, draining), nodeRow(2, unreachable), third], rows))).toEqual(['node-2 to node-3']);
});

test('planMoves counts a block that is being left neither as placed nor as free', () => {
  const left = { ...turnRow('demo', 1), leavingSinceMs: 5 };
  const rows = [left, turnRow('demo', 2)];
  expect(moves([nodeRow(1), nodeRow(2)], rows)).toEqual([]);
  expect(words(moves([nodeRow(1), nodeRow(2), nodeRow(3)], rows))).toEqual(['nowhere to node-3']);
  const elsewhere = { ...turnRow('other', 3), leavingSinceMs: 5 };
  const [move] = moves([nodeRow(2), nodeRow(3)], [turnRow('demo', 2), elsewhere]);
  expect(move?.to).not.toMatchObject({ relayPortStart: elsewhere.relayPortStart });
});

test('planMoves completes a namespace that is short of nodes, away from where it is', () => {
  const nodes = [nodeRow(1, { region: 'eu' }), nodeRow(2, { region: 'eu' }), nodeRow(3, { region: 'us' })];
  const rows = [turnRow('demo', 1), sfuRow('demo', 1)];
  const wanted = [{ namespace: 'demo', sfuNodeCount: 2, turnNodeCount: 1 }];
  expect(moves(nodes, rows, wanted)).toMatchObject([{ from: null, to: { service: 'sfu', nodeId: 'node-3' } }]);
});

/** The rows after the moves, as the store has them then. */
function apply(rows: readonly TakenBlockRow[], plan: readonly Move[]): TakenBlockRow[] {
  const isLeft = (row: PortAllocationRow) =>
    plan.some(
      ({ from }) => from?.nodeId === row.nodeId && from.namespace === row.namespace && from.service === row.service,
    );
  return [
    ...rows.map((row) => (isLeft(row) ? { ...row, leavingSinceMs: 1 } : row)),
    ...plan.map(({ to }) => ({ ...to, leavingSinceMs: null })),
  ];
}

const anyNode = fc.record({
  state: fc.constantFrom('active' as const, 'active' as const, 'draining' as const, 'gone' as const),
  reachable: fc.boolean(),
  region: fc.constantFrom('eu', 'us'),
  wireguardIp: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'),
});

/** What a namespace gets; nothing where the nodes, which may share an address, have no block left. */
function placedOrFull(request: Parameters<typeof placeNamespace>[0]): PortAllocationRow[] {
  try {
    return placeNamespace(request);
  } catch (thrown) {
    if (thrown instanceof OramaError && thrown.code === 'PORTS_EXHAUSTED') return [];
    throw thrown;
  }
}

test('whatever happens to the nodes: no block twice, never more than asked, no move without need, and it comes to rest', () => {
  const wish = fc.record({
    sfuNodeCount: fc.integer({ min: 1, max: 3 }),
    turnNodeCount: fc.integer({ min: 1, max: 3 }),
  });
  const fates = fc.array(fc.array(anyNode, { minLength: 5, maxLength: 5 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(wish, { minLength: 1, maxLength: 6 }), fates, (wishes, stages) => {
      const address = stages[0]?.map(({ wireguardIp }) => wireguardIp) ?? [];
      const nodesAt = (stage: (typeof stages)[number]) =>
        stage.map((fate, index) => nodeRow(index + 1, { ...fate, wireguardIp: address[index] ?? '' }));
      const all = nodesAt(stages[0] ?? []).map((node) => ({ ...node, state: 'active' as const, reachable: true }));
      const namespaces = wishes.map((each, index) => ({ namespace: `ns${index}`, ...each }));
      let rows: TakenBlockRow[] = [];
      for (const each of namespaces) {
        const request = { ...each, nodes: all, allocations: rows, ports: PORTS, nowMs: 0, allowDegraded: true };
        rows = [...rows, ...placedOrFull(request).map((row) => ({ ...row, leavingSinceMs: null }))];
      }
      for (const stage of stages) {
        const nodes = nodesAt(stage);
        const plan = planMoves({ namespaces, nodes, allocations: rows, ports: PORTS, nowMs: 1 });
        const shuffled = { namespaces: [...namespaces].reverse(), nodes: [...nodes].reverse() };
        expect(planMoves({ ...shuffled, allocations: [...rows].reverse(), ports: PORTS, nowMs: 1 })).toEqual(plan);
        for (const { from, to } of plan) {
          const leftNode = nodes.find(({ id }) => id === from?.nodeId);
          if (leftNode) expect(canTake(leftNode)).toBe(false);
          expect(canTake(nodes.find(({ id }) => id === to.nodeId) as PlacementNode)).toBe(true);
        }
        rows = apply(rows, plan);
        expectUnique(rows);
        for (const { namespace, sfuNodeCount, turnNodeCount } of namespaces) {
          const count = (service: string) =>
            rows.filter((row) => row.namespace === namespace && row.service === service && row.leavingSinceMs === null)
              .length;
          expect(count('sfu')).toBeLessThanOrEqual(sfuNodeCount);
          expect(count('turn')).toBeLessThanOrEqual(turnNodeCount);
        }
        expect(planMoves({ namespaces, nodes, allocations: rows, ports: PORTS, nowMs: 2 })).toEqual([]);
        // The nodes that can be reached confirm what is gone.
        const confirmed = new Set(nodes.flatMap((node) => (node.reachable ? [node.id] : [])));
        rows = rows.filter((row) => row.leavingSinceMs === null || !confirmed.has(row.nodeId));
      }
    }),
    { numRuns: 150 },
  );
});

/** What the constraints of the table hold, and that blocks do not overlap. */
function expectUnique(rows: readonly TakenBlockRow[]): void {
  const keys = rows.map((row) => `${row.nodeId} ${row.namespace} ${row.service}`);
  expect(new Set(keys).size).toBe(keys.length);
  const blocks = rows.map((row) =>
    row.service === 'sfu'
      ? `sfu ${row.hostIp} ${row.signalingPort} ${row.mediaPortStart}`
      : `turn ${row.hostIp} ${row.relayPortStart}`,
  );
  expect(new Set(blocks).size).toBe(blocks.length);
}
