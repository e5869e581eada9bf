import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ATTRIBUTE } from './attributes.ts';
import { encodeChannelData } from './channel-data.ts';
import { CLASS, METHOD } from './message.ts';
import { FrameReader } from './stream-framing.ts';
import { StunWriter } from './writer.ts';

const channelFrame = fc
  .tuple(fc.integer({ min: 0x4000, max: 0x7fff }), fc.uint8Array({ maxLength: 200 }))
  .map(([channel, data]) => encodeChannelData(channel, Buffer.from(data), true));
const stunFrame = fc
  .uint8Array({ maxLength: 200 })
  .map((data) => new StunWriter(METHOD.send, CLASS.indication, Buffer.alloc(12)).bytes(ATTRIBUTE.data, data).finish());

/** The frames a reader gives for chunks of the given sizes; the last chunk takes the rest. */
function read(stream: Buffer, sizes: number[], maxFrameBytes?: number): { frames: Buffer[]; sound: boolean } {
  const frames: Buffer[] = [];
  const reader = new FrameReader((frame) => frames.push(Buffer.from(frame)), maxFrameBytes);
  let position = 0;
  let sound = true;
  for (const size of [...sizes, stream.length]) {
    sound &&= reader.push(stream.subarray(position, position + size));
    position += size;
  }
  return { frames, sound };
}

test('FrameReader gives the same frames however the stream is cut', () => {
  const frames = fc.array(fc.oneof(channelFrame, stunFrame), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 80 }), (list, sizes) => {
      const result = read(Buffer.concat(list), sizes);
      expect(result.sound).toBe(true);
      expect(result.frames.map((frame) => frame.toString('hex'))).toEqual(list.map((frame) => frame.toString('hex')));
    }),
  );
});

test('FrameReader reads byte by byte, an empty ChannelData among them', () => {
  const list = [
    encodeChannelData(0x4001, Buffer.alloc(0), true),
    encodeChannelData(0x4001, Buffer.from('abcde'), true),
  ];
  const stream = Buffer.concat(list);
  expect(read(stream, new Array<number>(stream.length).fill(1)).frames).toEqual(list);
});

test('FrameReader refuses what is neither STUN nor ChannelData, a wrong cookie and an uneven length', () => {
  const stun = new StunWriter(METHOD.binding, CLASS.request, Buffer.alloc(12)).finish();
  const uneven = Buffer.from(stun);
  uneven.writeUInt16BE(3, 2);
  const noCookie = Buffer.from(stun);
  noCookie[4] = 0;
  for (const stream of [Buffer.from([0x80]), Buffer.from('GET / HTTP/1.1\r\n'), uneven, noCookie]) {
    // "GET " begins with the bits of ChannelData: it is the length that gives it away, once frames are limited.
    expect(read(stream, [], 2048).sound).toBe(false);
    expect(read(stream, [1, 1, 1, 1], 2048).sound).toBe(false);
  }
});

test('FrameReader refuses a frame above its limit as soon as its length is known', () => {
  const large = encodeChannelData(0x4000, Buffer.alloc(3000), true);
  expect(read(large.subarray(0, 4), [], 2048).sound).toBe(false);
  expect(read(large, [], 4096).frames).toHaveLength(1);
});

test('FrameReader is total: any bytes are frames or refused, and little is kept', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.array(fc.integer({ min: 1, max: 40 })), (noise, sizes) => {
      read(Buffer.from(noise), sizes);
    }),
  );
});
