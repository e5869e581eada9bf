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

/** Without simulcast: what fits or does not, as a whole. */
const single = { ...video, layers: layers.slice(1, 2) };
const alone = new Map([[one, single]]);

test('Allocator leaves a track its only picture while room lacks for a moment, and takes it away when that lasts', () => {
  const allocator = new Allocator<object>();
  run(allocator, () => 600_000, 0, 1_000, alone);
  const dip = (ms: number) => (ms < 5_500 ? 430_000 : 510_000);
  expect(changes(run(allocator, dip, 1_000, 10_000, alone))).toBe(0);
  const seen = run(allocator, () => 480_000, 10_000, 20_000, alone).map(([layer]) => layer);
  expect([seen.indexOf(null), seen.lastIndexOf(1)]).toEqual([50, 49]);
  // Three tenths more than there is room for is nothing to wait with.
  const other = new Allocator<object>();
  run(other, () => 600_000, 0, 1_000, alone);
  expect(run(other, () => 380_000, 1_000, 1_100, alone)).toEqual([[null]]);
});

test('Allocator brings the only picture back when there is room for it and a little more, each time later if that was wrong', () => {
  const allocator = new Allocator<object>();
  run(allocator, () => 300_000, 0, 1_000, alone);
  expect(changes(run(allocator, () => 520_000, 1_000, 5_000, alone))).toBe(0);
  expect(run(allocator, () => 530_000, 5_000, 6_100, alone).at(-1)).toEqual([1]);
  // Room appears whenever nothing is sent, and goes as soon as something is.
  let sent: number | null = 1;
  const seen: (number | null)[][] = [];
  for (let ms = 6_100; ms < 306_100; ms += 100) {
    const [row] = run(allocator, () => (sent === null ? 560_000 : 450_000), ms, ms + 100, alone) as [[number | null]];
    sent = row[0];
    seen.push(row);
  }
  expect(changes(seen)).toBeLessThanOrEqual(13);
});

test('Allocator gives nobody more while somebody has a picture that there is no room for', () => {
  const tracks = new Map([
    [one, single],
    [{}, { ...video, priority: 50 }],
  ]);
  const allocator = new Allocator<object>();
  run(allocator, () => 750_000, 0, 1_000, tracks);
  const seen = run(allocator, () => 560_000, 1_000, 5_000, tracks);
  expect(new Set(seen.map(String))).toEqual(new Set(['1,0']));
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
