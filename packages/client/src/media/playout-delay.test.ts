import { describe, expect, test } from 'vitest';
import { PlayoutDelay, readPictures } from './playout-delay.ts';

/** A receiver of twenty pictures a second that aims to wait 90 ms by itself; `second` tells how one second went. */
function receiver() {
  const delay = new PlayoutDelay();
  const total = { decoded: 0, dropped: 0, nacks: 0, freezes: 0, targetMs: 0, emitted: 0 };
  let wantedMs = delay.next({ ...total });
  const second = ({ dropped = 0, nacks = 1, freezes = 0 } = {}) => {
    total.decoded += 20 - dropped;
    total.dropped += dropped;
    total.nacks += nacks;
    total.freezes += freezes;
    total.emitted += 20;
    total.targetMs += 20 * Math.max(90, wantedMs ?? 0);
    wantedMs = delay.next({ ...total });
    return wantedMs;
  };
  return { second };
}

describe('PlayoutDelay', () => {
  test('leaves a receiver alone whose pictures come in time, or of which one came late', () => {
    const { second } = receiver();
    const told = Array.from({ length: 60 }, (_, i) => second({ dropped: i % 30 === 7 ? 1 : 0 }));
    expect(new Set(told)).toEqual(new Set([null]));
  });

  test('makes it wait longer than it did by itself, step by step while pictures still come late, and not without end', () => {
    const { second } = receiver();
    expect(second({ dropped: 3 })).toBe(150);
    expect(second()).toBe(150);
    expect(second({ dropped: 2 })).toBe(210);
    const told = Array.from({ length: 20 }, () => second({ dropped: 5 }));
    expect(told.at(-1)).toBe(400);
  });

  test('makes it wait longer where pictures cannot be left out and the last one stands still instead', () => {
    const { second } = receiver();
    expect(second({ freezes: 1 })).toBe(150);
    expect(second()).toBe(150);
    expect(second({ freezes: 1 })).toBe(210);
    expect(second({ freezes: 1, nacks: 0 })).toBe(210);
  });

  test('waits less when nothing came late for a while, until the browser is left alone again', () => {
    const { second } = receiver();
    second({ dropped: 3 });
    const told = Array.from({ length: 60 }, () => second());
    expect([...new Set(told)]).toEqual([150, 130, 110, 90, null]);
  });

  test('does not blame the path for what a slow decoder drops', () => {
    const { second } = receiver();
    const told = Array.from({ length: 20 }, () => second({ dropped: 8, nacks: 0 }));
    expect(new Set(told)).toEqual(new Set([null]));
  });
});

test('readPictures() finds the pictures of every m-line, with nothing for what a browser does not tell', () => {
  const video = { type: 'inbound-rtp', kind: 'video' };
  const report: [string, unknown][] = [
    ['a', { type: 'inbound-rtp', kind: 'audio', mid: 's0', packetsReceived: 5 }],
    ['b', { ...video, mid: 's1', framesDecoded: 7, framesDropped: 2, nackCount: 3, freezeCount: 1 }],
    ['c', { ...video, mid: 's2', jitterBufferTargetDelay: 1.5, jitterBufferEmittedCount: 10 }],
    ['d', { ...video, framesDecoded: 9 }],
    ['e', { type: 'outbound-rtp', kind: 'video', mid: '0' }],
  ];
  expect([...readPictures(report)]).toEqual([
    ['s1', { decoded: 7, dropped: 2, nacks: 3, freezes: 1, targetMs: 0, emitted: 0 }],
    ['s2', { decoded: 0, dropped: 0, nacks: 0, freezes: 0, targetMs: 1_500, emitted: 10 }],
  ]);
});
