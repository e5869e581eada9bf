import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RtpView } from '../header.ts';
import type { PayloadView } from './payload.ts';
import { PayloadReader } from './reader.ts';

function read(reader: PayloadReader | string, bytes: readonly number[], marker = false): PayloadView {
  const packet = Uint8Array.from(bytes);
  const view = new RtpView();
  view.payloadEnd = packet.length;
  view.marker = marker;
  (typeof reader === 'string' ? new PayloadReader(reader) : reader).read(packet, view);
  return view.payload;
}

const startsKeyFrame = (codec: string, ...bytes: number[]) => read(codec, bytes).startsKeyFrame;
const sizes = ({ spatialLayers, widths, heights }: PayloadView) =>
  Array.from({ length: spatialLayers }, (_, i) => `${widths[i]}x${heights[i]}`);

describe('VP8', () => {
  test('a key frame begins with the first packet of the first partition', () => {
    expect(startsKeyFrame('VP8', 0x10, 0x00)).toBe(true);
    expect(startsKeyFrame('VP8', 0x10, 0x01)).toBe(false);
    expect(startsKeyFrame('VP8', 0x00, 0x00)).toBe(false);
    expect(startsKeyFrame('VP8', 0x11, 0x00)).toBe(false);
    expect(startsKeyFrame('VP8', 0x90, 0xe0, 0x80, 0x01, 0x05, 0x20, 0x00)).toBe(true);
    expect(startsKeyFrame('VP8', 0x90, 0xe0, 0x80, 0x01, 0x05, 0x20, 0x01)).toBe(false);
    expect(startsKeyFrame('VP8', 0x90, 0x80, 0x01, 0x00)).toBe(true);
  });

  test('the whole descriptor is read, with offsets', () => {
    const long = read('vp8', [0xb0, 0xf0, 0xff, 0xfe, 0x2a, 0xa3, 0x01], true);
    expect(long).toMatchObject({
      pictureId: 0x7ffe,
      pictureIdBits: 15,
      pictureIdAt: 2,
      tl0PicIdx: 0x2a,
      tl0PicIdxAt: 4,
    });
    expect(long).toMatchObject({ temporalId: 2, beginsTemporal: true, keyIdx: 3, keyIdxAt: 5, discardable: true });
    expect(long).toMatchObject({ startsFrame: true, endsFrame: true, startsKeyFrame: false });
    expect(read('vp8', [0x80, 0x80, 0x12, 0])).toMatchObject({ pictureId: 0x12, pictureIdBits: 7, startsFrame: false });
    // KEYIDX alone: the upper bits of its byte mean nothing.
    expect(read('vp8', [0x90, 0x10, 0xff, 1])).toMatchObject({ temporalId: 0, keyIdx: 31, beginsTemporal: false });
  });

  test('a key frame tells its size', () => {
    const header = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x41];
    expect(sizes(read('vp8', [0x10, ...header]))).toEqual(['640x360']);
    expect(sizes(read('vp8', [0x10, ...header.slice(0, 9)]))).toEqual([]);
  });
});

describe('VP9', () => {
  test('a key frame begins where a frame of spatial layer 0 begins that is not inter-predicted', () => {
    expect(startsKeyFrame('VP9', 0x08, 0)).toBe(true);
    expect(startsKeyFrame('VP9', 0x48, 0)).toBe(false);
    expect(startsKeyFrame('VP9', 0x00, 0)).toBe(false);
    expect(startsKeyFrame('VP9', 0xa8, 0x81, 0x02, 0x00, 0, 0)).toBe(true);
    expect(startsKeyFrame('VP9', 0xa8, 0x81, 0x02, 0x02, 0, 0)).toBe(false);
  });

  test('layers are read in both modes', () => {
    const fixed = read('vp9', [0xed, 0x92, 0x34, 0x54, 0x77, 0]);
    expect(fixed).toMatchObject({
      pictureId: 0x1234,
      pictureIdAt: 1,
      temporalId: 2,
      spatialId: 2,
      tl0PicIdx: 0x77,
      tl0PicIdxAt: 4,
    });
    expect(fixed).toMatchObject({
      opensHigherTemporal: true,
      startsFrame: true,
      endsFrame: true,
    });
    // Flexible: no TL0PICIDX, two references instead.
    const flexible = read('vp9', [0xf8, 0x05, 0x20, 0x03, 0x04, 0]);
    expect(flexible).toMatchObject({ pictureId: 5, pictureIdBits: 7, temporalId: 1, tl0PicIdx: -1, startsFrame: true });
    // The list of references does not end.
    expect(read('vp9', [0xf8, 0x05, 0x20, 0x03]).startsFrame).toBe(false);
  });

  test('the scalability structure tells the sizes', () => {
    const structure = [0x50, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68, 0x05, 0x00, 0x02, 0xd0, 0];
    expect(sizes(read('vp9', [0x2a, 0x00, 0x00, ...structure]))).toEqual(['320x180', '640x360', '1280x720']);
    expect(sizes(read('vp9', [0x2a, 0x00, 0x00, ...structure.slice(0, 9)]))).toEqual([]);
  });
});

/** 640x360, by x264: high profile, cropped from 368 lines. */
const H264_SPS =
  '67640016acd940a02ff970110000030001000003003c0f162d96'.match(/../g)?.map((hex) => Number.parseInt(hex, 16)) ?? [];

describe('H.264', () => {
  test('a key frame begins with parameter sets or an IDR slice, alone, aggregated and fragmented', () => {
    expect(startsKeyFrame('H264', 0x65, 0x88)).toBe(true);
    expect(startsKeyFrame('H264', 0x67, 0)).toBe(true);
    expect(startsKeyFrame('H264', 0x41, 0x9a)).toBe(false);
    expect(startsKeyFrame('H264', 0x78, 0, 2, 0x09, 0, 0, 2, 0x67, 0)).toBe(true);
    expect(startsKeyFrame('H264', 0x78, 0, 2, 0x09, 0, 0, 2, 0x41, 0x80)).toBe(false);
    expect(startsKeyFrame('H264', 0x7c, 0x85, 0x88)).toBe(true);
    expect(startsKeyFrame('H264', 0x7c, 0x05, 0x88)).toBe(false);
    expect(startsKeyFrame('H264', 0x7c, 0x81, 0x88)).toBe(false);
  });

  test('an IDR slice alone begins nothing where the stream carries its parameter sets', () => {
    const reader = new PayloadReader('h264');
    expect(read(reader, [0x65, 0x88]).startsKeyFrame).toBe(true);
    expect(read(reader, [0x78, 0, H264_SPS.length, ...H264_SPS])).toMatchObject({ startsKeyFrame: true });
    expect(read(reader, [0x65, 0x88])).toMatchObject({ startsKeyFrame: false, startsFrame: true });
  });

  test('only the first slice begins a picture, and pictures nothing refers to are known', () => {
    expect(read('h264', [0x01, 0x88], true)).toMatchObject({ startsFrame: true, endsFrame: true, discardable: true });
    expect(read('h264', [0x41, 0x48])).toMatchObject({ startsFrame: false, discardable: false });
  });

  test('a sequence parameter set tells the size, without the cropped lines', () => {
    expect(sizes(read('h264', H264_SPS))).toEqual(['640x360']);
    expect(sizes(read('h264', H264_SPS.slice(0, 6)))).toEqual([]);
  });
});

describe('H.265', () => {
  test('a key frame begins with parameter sets, else with a slice of an IRAP picture', () => {
    expect(startsKeyFrame('H265', 0x40, 0x01, 0)).toBe(true);
    expect(startsKeyFrame('H265', 0x26, 0x01, 0x80)).toBe(true);
    expect(startsKeyFrame('H265', 0x26, 0x01, 0x00)).toBe(false);
    expect(startsKeyFrame('H265', 0x02, 0x01, 0x80)).toBe(false);
    expect(startsKeyFrame('H265', 0x62, 0x01, 0x93, 0x80)).toBe(true);
    expect(startsKeyFrame('H265', 0x62, 0x01, 0x13, 0x80)).toBe(false);
    expect(startsKeyFrame('H265', 0x60, 0x01, 0, 3, 0x40, 0x01, 0)).toBe(true);
    const reader = new PayloadReader('H265');
    read(reader, [0x40, 0x01, 0]);
    expect(read(reader, [0x26, 0x01, 0x80])).toMatchObject({ startsKeyFrame: false, startsFrame: true });
  });

  test('every packet tells its temporal layer, and slices where it may begin', () => {
    expect(read('h265', [0x02, 0x03, 0x80])).toMatchObject({
      temporalId: 2,
      beginsTemporal: false,
      discardable: false,
    });
    // TSA_N, fragmented.
    expect(read('h265', [0x62, 0x02, 0x82, 0x80])).toMatchObject({
      temporalId: 1,
      beginsTemporal: true,
      discardable: true,
    });
  });
});

describe('AV1', () => {
  test('a key frame begins a coded video sequence', () => {
    expect(startsKeyFrame('AV1', 0x18, 0)).toBe(true);
    expect(startsKeyFrame('AV1', 0x10, 0)).toBe(false);
    expect(startsKeyFrame('AV1', 0x98, 0)).toBe(false);
  });

  test('its sequence header tells the size', () => {
    // Reduced: profile 0, still picture, level, 9 and 8 bits of 320x180.
    const header = [0x0a, 0x05, 0x18, 0x21, 0x0f, 0x9f, 0xb3];
    const packed = [...header];
    packed.splice(2, 5, ...bits('000' + '1' + '1' + '00000' + '1000' + '0111' + '100111111' + '10110011'));
    expect(sizes(read('av1', [0x18, ...packed]))).toEqual(['320x180']);
    const withoutSize = [0x08, ...packed.slice(2)];
    expect(sizes(read('av1', [0x08, withoutSize.length, ...withoutSize]))).toEqual(['320x180']);
    expect(sizes(read('av1', [0x18, ...packed.slice(0, 4)]))).toEqual([]);
  });
});

function bits(text: string): number[] {
  return (text.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2));
}

test('every packet of audio stands for itself', () => {
  expect(read('opus', [])).toMatchObject({ startsKeyFrame: true, startsFrame: true, spatialId: 0, temporalId: 0 });
});

test('no payload makes a reader throw, and offsets stay inside the payload', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('VP8', 'VP9', 'H264', 'H265', 'AV1', 'opus'),
      fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 60 }),
      (codec, bytes) => {
        const payload = read(codec, bytes);
        expect(payload.spatialLayers).toBeLessThanOrEqual(8);
        for (const offset of [payload.pictureIdAt, payload.tl0PicIdxAt, payload.keyIdxAt])
          expect(offset).toBeLessThan(Math.max(1, bytes.length));
      },
    ),
    { numRuns: 5_000 },
  );
});
