import { TokenBucket, VirtualClock } from '@orama/core';
import { type ClientFrameOf, FRAME_RATE } from '@orama/protocol';
import { expect, test } from 'vitest';
import { Wishes } from './wishes.ts';

function create() {
  const clock = new VirtualClock();
  const sent: ClientFrameOf<'subscribe'>[] = [];
  const wishes = new Wishes(clock, (frame) => sent.push(frame));
  return { clock, sent, wishes };
}
const frame = (wish: object) => ({ type: 'subscribe', trackId: 't', ...wish });
const LARGE = { width: 1280, height: 720, visible: true };
const SMALL = { width: 320, height: 180, visible: true };

test('Wishes: a frame says everything that was asked for, and none is sent twice', () => {
  const { sent, wishes } = create();
  wishes.set('t', { priority: 200 });
  wishes.set('t', { maxLayer: 1 });
  wishes.set('t', { maxLayer: 1 });
  wishes.set('t', { maxLayer: undefined, enabled: false });
  expect(sent).toEqual([
    frame({ enabled: true, priority: 200 }),
    frame({ enabled: true, priority: 200, maxLayer: 1 }),
    frame({ enabled: false, priority: 200 }),
  ]);
});

test('Wishes: a larger element is told at once, a smaller one when it has stayed so', () => {
  const { clock, sent, wishes } = create();
  const element = {};
  wishes.show('t', element, { ...SMALL, width: 319.5 });
  clock.advance(50);
  expect(sent).toEqual([frame({ enabled: true, maxWidth: 320, maxHeight: 180 })]);
  wishes.show('t', element, LARGE);
  clock.advance(50);
  expect(sent).toHaveLength(2);
  wishes.show('t', element, SMALL);
  clock.advance(400);
  wishes.show('t', element, LARGE);
  clock.advance(1_000);
  expect(sent).toHaveLength(2);
  wishes.show('t', element, SMALL);
  clock.advance(500);
  expect(sent[2]).toMatchObject({ maxWidth: 320 });
});

test('Wishes: of several elements the largest counts; when none can be seen, nothing is wanted', () => {
  const { clock, sent, wishes } = create();
  const [one, other] = [{}, {}];
  wishes.show('t', one, LARGE);
  wishes.show('t', other, SMALL);
  clock.advance(50);
  expect(sent.at(-1)).toMatchObject({ maxWidth: 1280, enabled: true });
  wishes.show('t', one, { ...LARGE, visible: false });
  clock.advance(500);
  expect(sent.at(-1)).toMatchObject({ maxWidth: 320, enabled: true });
  wishes.show('t', other, { ...SMALL, visible: false });
  clock.advance(500);
  expect(sent.at(-1)).toEqual(frame({ enabled: false }));
  wishes.show('t', one, null);
  wishes.show('t', other, null);
  clock.advance(50);
  expect(sent.at(-1)).toEqual(frame({ enabled: true }));
});

test('Wishes: what the application switched off stays off, whatever element comes into view', () => {
  const { clock, sent, wishes } = create();
  wishes.set('t', { enabled: false });
  wishes.show('t', {}, LARGE);
  clock.advance(50);
  expect(sent.every(({ enabled }) => !enabled)).toBe(true);
});

test('Wishes: a page of a hundred pictures tells no faster than the server listens, and the newest of each', () => {
  const { clock, sent, wishes } = create();
  const server = new TokenBucket(FRAME_RATE, 0);
  const refused = () => sent.splice(0).filter(() => !server.take(clock.monotonic())).length;
  const tiles = Array.from({ length: 100 }, (_, index) => ({ trackId: `t${index}` }));
  for (const tile of tiles) wishes.show(tile.trackId, tile, SMALL);
  const told = new Map<string, number | undefined>();
  for (let ms = 0; ms < 10_000; ms += 10) {
    if (ms === 1_000) for (const tile of tiles) wishes.show(tile.trackId, tile, LARGE);
    clock.advance(10);
    for (const { trackId, maxWidth } of sent) told.set(trackId, maxWidth);
    expect(refused()).toBe(0);
  }
  expect([...told.values()]).toEqual(tiles.map(() => 1280));
  expect(clock.pending).toBe(0);
});

test('Wishes: nothing is told while there is nobody to tell; afterwards everything once more', () => {
  const { clock, sent, wishes } = create();
  wishes.set('t', { priority: 200 });
  wishes.pause();
  wishes.set('t', { priority: 100 });
  wishes.show('u', {}, LARGE);
  clock.advance(1_000);
  expect(sent).toHaveLength(1);
  wishes.resume();
  expect(sent.slice(1).map(({ trackId, priority }) => [trackId, priority])).toEqual([
    ['t', 100],
    ['u', undefined],
  ]);
  wishes.pause();
  wishes.resume();
  expect(sent).toHaveLength(5);
});

test('Wishes: nothing is sent for a track that is gone', () => {
  const { clock, sent, wishes } = create();
  wishes.show('t', {}, LARGE);
  wishes.forget('t');
  wishes.show('u', {}, LARGE);
  wishes.clear();
  clock.advance(1_000);
  expect(sent).toEqual([]);
  expect(clock.pending).toBe(0);
});
