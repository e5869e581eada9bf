import { expect, test } from 'vitest';
import type { AllocationTrack, LayerOption } from './allocate.ts';
import { Allocator } from './allocator.ts';

const layers: LayerOption[] = [150_000, 500_000, 1_500_000].map((bitrateBps, spatial) => ({
  ...{ spatial, temporal: 0, bitrateBps },
}));
const video: Omit<AllocationTrack, 'current'> = { kind: 'video', priority: 100, wish: {}, layers };
const one = {};

/** Runs one track at the budget of each moment, every 100 ms. @returns the layer at each */
function run(
  allocator: Allocator<object>,
  budgetAt: (ms: number) => number,
  fromMs: number,
  untilMs: number,
  tracks: ReadonlyMap<object, Omit<AllocationTrack, 'current'>> = new Map([[one, video]]),
) {
  const seen: (number | null)[][] = [];
  for (let ms = fromMs; ms < untilMs; ms += 100)
    seen.push(allocator.update(tracks, budgetAt(ms), ms).layers.map((layer) => layer?.spatial ?? null));
  return seen;
}
const changes = (seen: (number | null)[][]) => seen.filter((now, i) => i > 0 && now[0] !== seen[i - 1]?.[0]).length;

test('Allocator sends the best that fits from the first moment on', () => {
  expect(run(new Allocator(), () => 5_000_000, 0, 100)).toEqual([[2]]);
  expect(run(new Allocator(), () => 100_000, 0, 100)).toEqual([[null]]);
});

test('Allocator gives way at once', () => {
  const allocator = new Allocator<object>();
  run(allocator, () => 5_000_000, 0, 1_000);
  expect(run(allocator, () => 450_000, 1_000, 1_100)).toEqual([[0]]);
  expect(run(allocator, () => 50_000, 1_100, 1_200)).toEqual([[null]]);
});

test('Allocator takes more after a second of room, and at once when there is plenty', () => {
  const tight = new Allocator<object>();
  run(tight, () => 450_000, 0, 1_000);
  const seen = run(tight, () => 700_000, 1_000, 3_000).map(([layer]) => layer);
  expect(seen.indexOf(1)).toBe(10);
  const ample = new Allocator<object>();
  run(ample, () => 450_000, 0, 1_000);
  expect(run(ample, () => 9_000_000, 1_000, 1_100)).toEqual([[2]]);
});

test('Allocator waits longer each time that more had to be taken back', () => {
  // Room appears whenever little is sent, and goes as soon as more is: a path that lies.
  const allocator = new Allocator<object>();
  let sent = 0;
  const seen: (number | null)[][] = [];
  for (let ms = 0; ms < 60_000; ms += 100) {
    const since = seen.length - 1 - seen.findLastIndex(([layer]) => layer !== 1);
    const [row] = run(allocator, () => (sent === 1 && since > 10 ? 450_000 : 700_000), ms, ms + 100) as [number[]];
    sent = row?.[0] ?? 0;
    seen.push(row);
  }
  expect(changes(seen)).toBeLessThanOrEqual(14);
});

test('Allocator does not begin all larger pictures in one moment', () => {
  const tracks = new Map([1, 2, 3, 4].map((id) => [{ id }, video]));
  const allocator = new Allocator<object>();
  run(allocator, () => 700_000, 0, 1_000, tracks);
  const seen = run(allocator, () => 20_000_000, 1_000, 3_000, tracks);
  const rising = seen.map((row, i) => row.filter((layer, j) => layer !== (seen[i - 1]?.[j] ?? 0)).length);
  expect(Math.max(...rising)).toBe(1);
  expect(seen.at(-1)).toEqual([2, 2, 2, 2]);
});

test('Allocator sends a track’s first packets at once, however late they come', () => {
  const allocator = new Allocator<object>();
  run(allocator, () => 700_000, 0, 1_000, new Map([[one, { ...video, layers: [] }]]));
  expect(run(allocator, () => 700_000, 1_000, 1_100)).toEqual([[1]]);
});

test('Allocator forgets tracks that are gone and follows layers that go', () => {
  const allocator = new Allocator<object>();
  run(allocator, () => 5_000_000, 0, 1_000);
  const small = new Map([[one, { ...video, layers: layers.slice(0, 1) }]]);
  expect(run(allocator, () => 5_000_000, 1_000, 1_100, small)).toEqual([[0]]);
  expect(run(allocator, () => 5_000_000, 1_100, 1_200, new Map())).toEqual([[]]);
  expect(run(allocator, () => 5_000_000, 1_200, 1_300)).toEqual([[2]]);
});
