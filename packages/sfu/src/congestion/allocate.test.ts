import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AllocationTrack, allocate, type LayerOption, optionsOf as optionsWithin, wantedBps } from './allocate.ts';

const layer = (spatial: number, temporal: number, bitrateBps: number, width?: number): LayerOption => ({
  ...{ spatial, temporal, bitrateBps, width },
  height: width === undefined ? undefined : (width * 9) / 16,
  fps: [7.5, 15, 30][temporal],
});
const simulcast = [layer(0, 0, 150_000, 320), layer(1, 0, 500_000, 640), layer(2, 0, 1_500_000, 1_280)];
const video = (over: Partial<AllocationTrack> = {}): AllocationTrack => ({
  kind: 'video',
  priority: 100,
  wish: {},
  layers: simulcast,
  current: null,
  ...over,
});
const audio: AllocationTrack = { ...video({ layers: [layer(0, 0, 40_000)] }), kind: 'audio' };
const optionsOf = ({ layers, wish }: AllocationTrack) => optionsWithin(layers, wish);
const spatials = (tracks: AllocationTrack[], budgetBps: number) =>
  allocate(tracks, budgetBps).map((chosen) => chosen?.spatial ?? null);

const layersOf = fc
  .array(fc.integer({ min: 20_000, max: 3_000_000 }), { maxLength: 6 })
  .map((rates) => rates.sort((a, b) => a - b).map((bps, i) => layer(Math.floor(i / 2), i % 2, bps, 320 * (i + 1))));
const anyTrack: fc.Arbitrary<AllocationTrack> = fc.record({
  kind: fc.constantFrom('audio' as const, 'video' as const, 'video' as const),
  priority: fc.constantFrom(0, 100, 100, 200),
  wish: fc.record({ maxLayer: fc.nat(3), maxWidth: fc.integer({ min: 1, max: 2_000 }) }, { requiredKeys: [] }),
  layers: layersOf,
  current: fc.option(fc.record({ spatial: fc.nat(2), temporal: fc.nat(1) }), { nil: null }),
});
const anyTracks = fc.array(anyTrack, { maxLength: 8 });
const anyBudget = fc.integer({ min: 0, max: 10_000_000 });
const sum = (chosen: (LayerOption | null)[]) => chosen.reduce((total, one) => total + (one?.bitrateBps ?? 0), 0);

test('allocate gives everybody the smallest layer before anybody a better one', () => {
  expect(spatials([audio, video(), video(), video()], 600_000)).toEqual([0, 0, 0, 0]);
  expect(spatials([audio, video(), video(), video()], 1_050_000)).toEqual([0, 1, 0, 0]);
  expect(spatials([audio, video(), video(), video()], 20_000_000)).toEqual([0, 2, 2, 2]);
});

test('allocate leaves out what does not fit, the lowest priority first, and always sends audio', () => {
  const tracks = [audio, video({ priority: 50 }), video(), video({ priority: 200 })];
  expect(spatials(tracks, 30_000)).toEqual([0, null, null, null]);
  expect(spatials(tracks, 260_000)).toEqual([0, null, null, 0]);
  expect(spatials(tracks, 450_000)).toEqual([0, null, 0, 0]);
  expect(spatials(tracks, 2_600_000)).toEqual([0, 0, 1, 2]);
});

test('allocate gives the rest to others when a track fits at no size', () => {
  const screen = video({ priority: 200, layers: [layer(0, 0, 2_500_000)] });
  expect(spatials([screen, video()], 1_000_000)).toEqual([null, 1]);
});

test('allocate keeps what is sent until it does not fit any more, and takes more only with something to spare', () => {
  const current = { spatial: 1, temporal: 0 };
  expect(spatials([video()], 510_000)).toEqual([0]);
  expect(spatials([video({ current })], 510_000)).toEqual([1]);
  expect(spatials([video({ current })], 490_000)).toEqual([0]);
});

test('optionsOf keeps to the wish: the layer, the size it is shown at, the frame rate', () => {
  const svc = [0, 1, 2].flatMap((s) => [0, 1, 2].map((t) => layer(s, t, (s * 3 + t + 1) * 100_000, 320 << s)));
  const best = (wish: AllocationTrack['wish']) => optionsOf(video({ layers: svc, wish })).at(-1);
  expect(best({})).toMatchObject({ spatial: 2, temporal: 2 });
  expect(best({ maxLayer: 1 })).toMatchObject({ spatial: 1, temporal: 2 });
  expect(best({ maxWidth: 320 })).toMatchObject({ spatial: 0, temporal: 2 });
  expect(best({ maxWidth: 321, maxHeight: 700 })).toMatchObject({ spatial: 1 });
  expect(best({ maxWidth: 10_000 })).toMatchObject({ spatial: 2 });
  expect(best({ maxFps: 15 })).toMatchObject({ spatial: 2, temporal: 1 });
});

test('optionsOf leaves out layers that cost more than better ones', () => {
  const layers = [layer(0, 0, 300_000), layer(1, 0, 200_000), layer(2, 0, 900_000)];
  expect(optionsOf(video({ layers })).map(({ spatial }) => spatial)).toEqual([1, 2]);
});

test('allocate never gives more than the budget, audio aside', () => {
  fc.assert(
    fc.property(anyTracks, anyBudget, (tracks, budget) => {
      const chosen = allocate(tracks, budget);
      const forAudio = sum(chosen.filter((_, i) => tracks[i]?.kind === 'audio'));
      expect(sum(chosen)).toBeLessThanOrEqual(Math.max(budget, forAudio));
    }),
  );
});

test('allocate chooses among a track’s own options and sends all audio', () => {
  fc.assert(
    fc.property(anyTracks, anyBudget, (tracks, budget) => {
      allocate(tracks, budget).forEach((chosen, i) => {
        const options = optionsOf(tracks[i] as AllocationTrack);
        if (chosen) expect(options).toContain(chosen);
        else if (tracks[i]?.kind === 'audio') expect(options).toEqual([]);
      });
    }),
  );
});

test('allocate gives the same again when its result is what is sent', () => {
  fc.assert(
    fc.property(anyTracks, anyBudget, (tracks, budget) => {
      const chosen = allocate(tracks, budget);
      const next = tracks.map((track, i) => ({ ...track, current: chosen[i] ?? null }));
      expect(allocate(next, budget)).toEqual(chosen);
    }),
  );
});

test('allocate with a larger budget never takes from tracks that come first', () => {
  fc.assert(
    fc.property(anyTracks, anyBudget, fc.nat(5_000_000), (tracks, budget, more) => {
      // Without anything sent yet: what is kept at the smaller budget needs no reserve.
      const fresh = tracks.map((track) => ({ ...track, current: null }));
      const before = allocate(fresh, budget);
      const after = allocate(fresh, budget + more);
      const videos = fresh
        .map((track, i) => ({ track, i }))
        .filter(({ track }) => track.kind === 'video' && optionsOf(track).length > 0)
        .sort(
          (a, b) =>
            b.track.priority - a.track.priority ||
            (optionsOf(a.track)[0]?.bitrateBps ?? 0) - (optionsOf(b.track)[0]?.bitrateBps ?? 0) ||
            a.i - b.i,
        );
      const changed = videos.find(({ i }) => (before[i] === null) !== (after[i] === null));
      if (changed) expect(after[changed.i]).not.toBeNull();
    }),
  );
});

test('allocate gives one track more or the same with every bit more', () => {
  fc.assert(
    fc.property(anyTrack, anyBudget, fc.nat(5_000_000), (track, budget, more) => {
      const before = allocate([track], budget)[0]?.bitrateBps ?? 0;
      expect(allocate([track], budget + more)[0]?.bitrateBps ?? 0).toBeGreaterThanOrEqual(before);
    }),
  );
});

test('allocate never gives a track of lower priority what would have shown one of higher priority', () => {
  fc.assert(
    fc.property(anyTracks, anyBudget, (tracks, budget) => {
      const chosen = allocate(tracks, budget);
      tracks.forEach((starved, i) => {
        const least = optionsOf(starved)[0];
        if (starved.kind === 'audio' || chosen[i] || !least) return;
        tracks.forEach((other, j) => {
          if (other.kind === 'audio' || other.priority >= starved.priority || !chosen[j]) return;
          const above = tracks.filter((track) => track.kind === 'audio' || track.priority >= starved.priority);
          const taken = above.reduce((total, track) => {
            const one = optionsOf(track);
            return total + ((track.kind === 'audio' ? one.at(-1) : one[0])?.bitrateBps ?? 0);
          }, 0);
          // Paused although lower ones are sent: then not even the smallest layers of its own and higher ranks fit.
          expect(taken + budget * 0.08 + least.bitrateBps * 0.1).toBeGreaterThan(budget);
        });
      });
    }),
  );
});

test('wantedBps is enough for everything to be allocated', () => {
  fc.assert(
    fc.property(anyTracks, (tracks) => {
      const chosen = allocate(tracks, Math.ceil(wantedBps(tracks)) + 1);
      expect(chosen).toEqual(tracks.map((track) => optionsOf(track).at(-1) ?? null));
    }),
  );
});
