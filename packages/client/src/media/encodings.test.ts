import { expect, test } from 'vitest';
import { ridsOf, videoEncodings } from './encodings.ts';

const options = { simulcast: true, scalabilityMode: undefined, maxBitrateBps: 1_500_000 };

test('videoEncodings: three layers of a large picture, from the smallest up, each with its share of the bit rate', () => {
  const encodings = videoEncodings({ width: 1280, height: 720 }, options);
  expect(
    encodings.map(({ rid, scaleResolutionDownBy, maxBitrate }) => [rid, scaleResolutionDownBy, maxBitrate]),
  ).toEqual([
    ['q', 4, 135_000],
    ['h', 2, 450_000],
    ['f', 1, 1_500_000],
  ]);
});

test.each([
  [{ width: 1920, height: 1080 }, 'q,h,f'],
  [{ width: 960, height: 540 }, 'q,h,f'],
  [{ width: 720, height: 1280 }, 'q,h,f'],
  [{ width: 640, height: 360 }, 'h,f'],
  [{ width: 480, height: 270 }, 'h,f'],
  [{ width: 320, height: 180 }, ''],
  [{}, 'q,h,f'],
])('videoEncodings: a picture of %o is sent in the layers "%s"', (settings, rids) => {
  expect(ridsOf(videoEncodings(settings, options)).join()).toBe(rids);
});

test('videoEncodings: one encoding without simulcast, and one with layers inside where that is asked for', () => {
  const size = { width: 1280, height: 720 };
  expect(videoEncodings(size, { ...options, simulcast: false })).toEqual([{ maxBitrate: 1_500_000 }]);
  expect(videoEncodings(size, { ...options, scalabilityMode: 'L3T3_KEY' })).toEqual([
    { maxBitrate: 1_500_000, scalabilityMode: 'L3T3_KEY' },
  ]);
  expect(videoEncodings(size, { ...options, maxBitrateBps: undefined })[2]).not.toHaveProperty('maxBitrate');
});
