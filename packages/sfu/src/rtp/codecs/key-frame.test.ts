import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyFrameTestOf } from './key-frame.ts';

const starts = (codec: string, ...payload: number[]) =>
  keyFrameTestOf(codec)(Uint8Array.from(payload), 0, payload.length);

test('VP8: the first packet of a key frame, with and without the extended descriptor', () => {
  expect(starts('VP8', 0x10, 0x00)).toBe(true);
  expect(starts('VP8', 0x10, 0x01)).toBe(false);
  expect(starts('VP8', 0x00, 0x00)).toBe(false);
  expect(starts('VP8', 0x11, 0x00)).toBe(false);
  // Extension with a 15-bit picture id, TL0PICIDX and TID/KEYIDX.
  expect(starts('VP8', 0x90, 0xe0, 0x80, 0x01, 0x05, 0x20, 0x00)).toBe(true);
  expect(starts('VP8', 0x90, 0xe0, 0x80, 0x01, 0x05, 0x20, 0x01)).toBe(false);
  // With a 7-bit picture id.
  expect(starts('VP8', 0x90, 0x80, 0x01, 0x00)).toBe(true);
});

test('VP9: the beginning of a frame of spatial layer 0 that is not inter-predicted', () => {
  expect(starts('VP9', 0x08, 0)).toBe(true);
  expect(starts('VP9', 0x48, 0)).toBe(false);
  expect(starts('VP9', 0x00, 0)).toBe(false);
  expect(starts('VP9', 0xa8, 0x81, 0x02, 0x00, 0)).toBe(true);
  expect(starts('VP9', 0xa8, 0x81, 0x02, 0x02, 0)).toBe(false);
});

test('H264: parameter sets and IDR slices, alone, aggregated and fragmented', () => {
  expect(starts('H264', 0x65, 0)).toBe(true);
  expect(starts('H264', 0x67, 0)).toBe(true);
  expect(starts('H264', 0x41, 0)).toBe(false);
  expect(starts('H264', 0x78, 0, 2, 0x09, 0, 0, 2, 0x67, 0)).toBe(true);
  expect(starts('H264', 0x78, 0, 2, 0x09, 0, 0, 2, 0x41, 0)).toBe(false);
  expect(starts('H264', 0x7c, 0x85)).toBe(true);
  expect(starts('H264', 0x7c, 0x05)).toBe(false);
  expect(starts('H264', 0x7c, 0x81)).toBe(false);
});

test('AV1: the packet whose aggregation header begins a coded video sequence', () => {
  expect(starts('AV1', 0x18)).toBe(true);
  expect(starts('AV1', 0x10)).toBe(false);
});

test('audio needs no key frame, and no payload makes a test throw', () => {
  expect(starts('opus')).toBe(true);
  fc.assert(
    fc.property(
      fc.constantFrom('VP8', 'VP9', 'H264', 'AV1', 'opus'),
      fc.uint8Array({ maxLength: 40 }),
      (codec, payload) => {
        expect(typeof keyFrameTestOf(codec)(payload, 0, payload.length)).toBe('boolean');
      },
    ),
    { numRuns: 2_000 },
  );
});
