import type { NodeRow } from '@orama/store';
import { expect, test } from 'vitest';
import { Liveness } from './liveness.ts';

test('a node is heard once a heartbeat came while somebody listened; what stood in the store before is none', () => {
  const liveness = new Liveness('node-1');
  const rows = (beats: number) => ['node-1', 'node-2'].map((id) => ({ id, beats, reachable: true }) as NodeRow);
  liveness.look(rows(7), 0, 1);
  expect(['node-1', 'node-2'].map((id) => liveness.hasHeard(id))).toEqual([true, false]);
  liveness.look(rows(8), 1_000, 1_001);
  expect(liveness.hasHeard('node-2')).toBe(true);
});

test('a node that is silent stays unreachable over an interruption of the watch, and is reachable with its next heartbeat', () => {
  const liveness = new Liveness('node-1');
  let own = 0;
  const look = (beats: number, reachable: boolean, atMs: number) => {
    own += 1;
    const rows = [
      { id: 'node-1', beats: own, reachable: true },
      { id: 'node-2', beats, reachable },
    ] as NodeRow[];
    return liveness.look(rows, atMs, atMs).map((change) => `${change.node.id} ${change.reachable}`);
  };
  look(1, true, 0);
  for (let second = 1; second <= 6; second += 1) expect(look(2, true, second * 1_000)).toEqual([]);
  expect(look(2, true, 7_000)).toEqual(['node-2 false']);
  // The store was away meanwhile.
  expect(look(2, false, 20_000)).toEqual([]);
  expect(look(2, false, 21_000)).toEqual([]);
  expect(look(3, false, 22_000)).toEqual(['node-2 true']);
});
