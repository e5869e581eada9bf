import { describe, expect, test } from 'vitest';
import { RtpView, readRtp } from '../rtp/header.ts';
import { rtpPacket, VP8_DELTA, VP8_KEY } from '../testing/test-peer.ts';
import { type Frame, FrameAssembler } from './frame-assembler.ts';

/** Feeds payloads of one codec; the last of each list has the marker. */
function framesOf(codec: string, ...pictures: Buffer[][]): Frame[] {
  const assembler = new FrameAssembler(codec);
  const frames: Frame[] = [];
  let sequence = 0;
  pictures.forEach((payloads, number) => {
    payloads.forEach((payload, i) => {
      const marker = i === payloads.length - 1;
      const fields = { payloadType: 96, ssrc: 1, sequence: sequence++, timestamp: number * 3_000, marker, payload };
      const packet = rtpPacket(fields);
      const view = new RtpView();
      expect(readRtp(packet, view)).toBe(true);
      const frame = assembler.push(packet, view);
      if (frame) frames.push(frame);
    });
  });
  return frames;
}

const dataOf = (frames: Frame[]) => frames.map(({ data }) => Buffer.from(data).toString('hex'));
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('FrameAssembler', () => {
  test('VP8: descriptors of every length are left out; it begins with a key frame and tells its size', () => {
    const key = hex('90 e0 8001 05 20  00 00 00 9d012a 8002 6801 aa');
    const frames = framesOf('VP8', [VP8_DELTA], [key, hex('80 80 01 bb')], [hex('10 01 cc')]);
    expect(dataOf(frames)).toEqual(['0000009d012a80026801aabb', '01cc']);
    expect(frames.map(({ isKey, width, height }) => [isKey, width, height])).toEqual([
      [true, 640, 360],
      [false, 0, 0],
    ]);
  });

  test('VP9: descriptor, sizes and picture groups are left out', () => {
    const key = hex('8a 01  18 0280 0168 01 04 02  aa');
    expect(dataOf(framesOf('VP9', [key, hex('84 01 bb')]))).toEqual(['aabb']);
    expect(framesOf('VP9', [key, hex('84 01 bb')])[0]).toMatchObject({ isKey: true, width: 640, height: 360 });
  });

  test('VP9: a key frame whose size no payload told has it in its own header', () => {
    const [frame] = framesOf('VP9', [hex('0c  82 498342 0027f01670 ff')]);
    expect(frame).toMatchObject({ isKey: true, width: 640, height: 360 });
  });

  test('H.264: single units, aggregates and fragments become units with start codes', () => {
    const aggregate = hex('78 0004 67640028 0002 68ee');
    const frames = framesOf('H264', [aggregate, hex('7c 85 8801'), hex('7c 05 02'), hex('7c 45 03')], [hex('41 9a')]);
    expect(dataOf(frames)).toEqual([
      '00000001676400280000000168ee0000000165880102 03'.replace(' ', ''),
      '00000001419a',
    ]);
    expect(frames.map(({ isKey }) => isKey)).toEqual([true, false]);
  });

  test('H.265: single units, aggregates and fragments become units with start codes', () => {
    const aggregate = hex('6001 0003 400101 0003 420102');
    const frames = framesOf('H265', [aggregate, hex('6201 93 aa'), hex('6201 53 bb')]);
    expect(dataOf(frames)).toEqual(['00000001400101000000014201020000000126 01aabb'.replace(' ', '')]);
  });

  test('AV1: units get their sizes, also those that packets share', () => {
    const first = hex('68  03 080aff  30bb');
    const second = hex('90 cc');
    expect(dataOf(framesOf('AV1', [first, second]))).toEqual(['0a020aff3202bbcc']);
  });

  test('Opus: every packet is a frame', () => {
    expect(dataOf(framesOf('opus', [hex('f8ff')], [hex('f8fe')]))).toEqual(['f8ff', 'f8fe']);
  });

  test('after a loss nothing comes before the next key frame', () => {
    const assembler = new FrameAssembler('VP8');
    const push = (timestamp: number, payload: Buffer) => {
      const packet = rtpPacket({ payloadType: 96, ssrc: 1, sequence: 0, timestamp, marker: true, payload });
      const view = new RtpView();
      readRtp(packet, view);
      return assembler.push(packet, view) !== null;
    };
    expect([push(0, VP8_KEY), push(1, VP8_DELTA)]).toEqual([true, true]);
    assembler.interrupt();
    expect([push(2, VP8_DELTA), push(3, VP8_KEY), push(4, VP8_DELTA)]).toEqual([false, true, true]);
  });

  test.each(['VP8', 'VP9', 'H264', 'H265', 'AV1', 'opus'])('%s: payloads of any bytes are survived', (codec) => {
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 0x7fffffff;
      return seed;
    };
    const pictures = Array.from({ length: 2_000 }, () => [
      Buffer.from(Array.from({ length: 1 + (random() % 40) }, () => random() & 255)),
    ]);
    expect(() => framesOf(codec, ...pictures)).not.toThrow();
  });
});
