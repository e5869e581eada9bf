import { describe, expect, test } from 'vitest';
import { PeerClock } from './peer-clock.ts';
import { ReorderBuffer } from './reorder-buffer.ts';
import { Timeline } from './timeline.ts';

describe('ReorderBuffer', () => {
  const packet = (number: number) => Buffer.from([number]);
  const drainer = () => {
    const taken: [number, number][] = [];
    const buffer = new ReorderBuffer();
    const drain = (nowMs: number) => buffer.drain(nowMs, (each, lost) => taken.push([each[0] as number, lost]));
    return { buffer, drain, taken };
  };

  test('gives packets in order, across the wrap, each once', () => {
    const { buffer, drain, taken } = drainer();
    for (const number of [65_534, 0, 65_535, 0, 1, 65_534]) buffer.push(number, packet(number & 255));
    drain(0);
    expect(taken.map(([number]) => number)).toEqual([254, 255, 0, 1]);
  });

  test('waits a second for a missing packet, then tells how many are lost', () => {
    const { buffer, drain, taken } = drainer();
    for (const number of [10, 13, 14]) buffer.push(number, packet(number));
    drain(0);
    drain(999);
    expect(taken).toEqual([[10, 0]]);
    drain(1_000);
    buffer.push(11, packet(11));
    buffer.push(15, packet(15));
    drain(1_001);
    expect(taken).toEqual([
      [10, 0],
      [13, 2],
      [14, 0],
      [15, 0],
    ]);
  });

  test('a packet that was sent again in time is no loss', () => {
    const { buffer, drain, taken } = drainer();
    buffer.push(1, packet(1));
    buffer.push(3, packet(3));
    drain(0);
    buffer.push(2, packet(2));
    drain(500);
    expect(taken.map(([number, lost]) => [number, lost])).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
    ]);
  });
});

describe('Timeline', () => {
  test('counts seconds from the first timestamp on, across the wrap', () => {
    const timeline = new Timeline(90_000);
    expect(timeline.seconds(0xffff_ffff)).toBe(0);
    expect(timeline.seconds(89_999)).toBe(1);
    expect(timeline.seconds(44_999)).toBe(0.5);
  });

  test('tells the publisher time of its first timestamp, from reports before or after it', () => {
    const late = new Timeline(48_000);
    expect(late.startSec).toBeNull();
    late.seconds(48_000);
    late.learn(96_000, 1_001);
    expect(late.startSec).toBe(1_000);
    const early = new Timeline(48_000);
    early.learn(96_000, 1_001);
    early.seconds(48_000);
    expect(early.startSec).toBe(1_000);
  });

  test('follows a clock that drifts without ever jumping, and ignores one that is set', () => {
    const timeline = new Timeline(48_000);
    timeline.seconds(0);
    timeline.learn(0, 500);
    let before = 0;
    // The sound card makes 48 010 samples a second of the publisher's clock: 0.7 s too much in an hour.
    for (let second = 1; second <= 3_600; second++) {
      timeline.learn(second * 48_010, 500 + second);
      const now = timeline.seconds(second * 48_010);
      expect(now - before).toBeGreaterThan(0.99);
      before = now;
    }
    expect(before).toBeCloseTo(3_600, 2);
    timeline.learn(3_601 * 48_010, 9_000_000);
    expect(timeline.seconds(3_601 * 48_010)).toBeCloseTo(3_601, 1);
  });
});

test('PeerClock goes by the report that was quickest to come', () => {
  const clock = new PeerClock();
  expect(clock.toLocalMs(1)).toBeNull();
  clock.learn(100, 700);
  clock.learn(101, 1_200);
  clock.learn(102, 2_900);
  expect(clock.toLocalMs(100)).toBe(200);
});
