import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tileWidth } from './layout.ts';
import { initialsOf, sentLine, statsLine, trackLine } from './texts.ts';

describe('tileWidth', () => {
  test('always finds a grid in which all tiles fit', () => {
    const side = fc.integer({ min: 300, max: 4000 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), side, side, (count, width, height) => {
        const tile = tileWidth(count, width, height, 12);
        const columns = Math.max(1, Math.floor((width + 12) / (tile + 12)));
        const rows = Math.ceil(count / columns);
        return tile > 0 && rows * ((tile * 9) / 16) + (rows - 1) * 12 <= height + 1;
      }),
    );
  });

  test('puts two side by side on a desktop and below each other on a phone', () => {
    expect(tileWidth(2, 1200, 600, 12)).toBe(594);
    expect(tileWidth(2, 360, 640, 12)).toBe(360);
  });

  test('is 0 without tiles', () => expect(tileWidth(0, 100, 100, 12)).toBe(0));
});

test('statsLine() shows what is known', () => {
  expect(statsLine({ width: 640, height: 360, framesPerSecond: 24.6, bitrateBps: 612_345, rttMs: 0.4 })).toBe(
    '640×360 · 25 fps · 612 kbit/s · 1 ms',
  );
  expect(statsLine({ bitrateBps: 1_540_000 })).toBe('1.5 Mbit/s');
  expect(statsLine({})).toBe('');
});

test('trackLine() adds the layer, or says why nothing comes; sentLine() counts the layers that are watched', () => {
  const layers = [{ rid: 'h' }, { rid: 'f' }];
  const quality = { layer: 1, bitrateBps: 5, loss: 0 };
  expect(trackLine({ delivery: 'flowing', layers, quality }, '3 ms')).toBe('3 ms · layer 2 of 2');
  expect(trackLine({ delivery: 'flowing', layers: [], quality }, '3 ms')).toBe('3 ms');
  expect(trackLine({ delivery: 'no-bandwidth', layers, quality }, '3 ms')).toBe('paused: the network is too slow');
  expect(sentLine('3 ms', [{ active: true }, { active: false }])).toBe('3 ms · 1 of 2 layers');
  expect(sentLine('3 ms', [])).toBe('3 ms');
});

test('initialsOf() gives two letters at most', () => {
  expect(['Ada', 'ada lovelace', 'J. R. R. Tolkien', '', '✨ star'].map(initialsOf)).toEqual([
    'A',
    'AL',
    'JT',
    '?',
    '✨S',
  ]);
});
