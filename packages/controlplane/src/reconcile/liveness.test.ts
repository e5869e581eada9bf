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
