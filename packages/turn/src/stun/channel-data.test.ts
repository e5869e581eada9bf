import fc from 'fast-check';
import { expect, test } from 'vitest';
import { channelDataLength, encodeChannelData, isChannelData, padded, writeChannelData } from './channel-data.ts';

test('encodeChannelData is read again, padded or not', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0x4000, max: 0x7fff }), fc.uint8Array(), fc.boolean(), (channel, data, pad) => {
      const packet = encodeChannelData(channel, Buffer.from(data), pad);
      expect(isChannelData(packet[0] as number)).toBe(true);
      expect(packet.readUInt16BE(0)).toBe(channel);
      expect(channelDataLength(packet, packet.length)).toBe(data.length);
      expect(packet.length).toBe(pad ? padded(4 + data.length) : 4 + data.length);
    }),
  );
});

test('writeChannelData zeroes the padding of a buffer that held something else', () => {
  const target = Buffer.alloc(16, 0xff);
  expect(writeChannelData(target, 0x4000, Buffer.from('abcde'), true)).toBe(12);
  expect(target.subarray(9, 12)).toEqual(Buffer.alloc(3));
  expect(target[12]).toBe(0xff);
});

test('channelDataLength refuses packets shorter than they say, whatever lies behind them in the buffer', () => {
  const buffer = Buffer.from([0x40, 0, 0, 1, 99]);
  expect(channelDataLength(buffer, 3)).toBe(-1);
  expect(channelDataLength(buffer, 4)).toBe(-1);
  expect(channelDataLength(buffer, 5)).toBe(1);
  expect(channelDataLength(Buffer.from([0x40, 0, 0, 0]), 4)).toBe(0);
});
