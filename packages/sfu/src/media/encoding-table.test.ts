import { trackLayerSchema } from '@orama/protocol';
import { expect, test } from 'vitest';
import type { Codec } from '../rtc/codecs.ts';
import { EXTENSION } from '../rtp/extensions.ts';
import { RtpView, readRtp } from '../rtp/header.ts';
import { Encoding } from './encoding.ts';
import { EncodingTable } from './encoding-table.ts';
import { RateMeter } from './rate-meter.ts';

const VP8: Codec = {
  ...{ name: 'VP8', clockRate: 90_000, channels: 1, payloadType: 96, fmtp: '', rtxPayloadType: 97 },
  ...{ feedback: [], key: 'vp8' },
};
const table = (...rids: (string | undefined)[]) =>
  new EncodingTable(rids.map((rid) => new Encoding({ rid }, VP8, () => true)));

/** A packet whose element 10 or 11 says `rid`. */
function packetOf(id: number, rid: string): [Buffer, RtpView] {
  const element = Buffer.concat([Buffer.from([(id << 4) | (rid.length - 1)]), Buffer.from(rid)]);
  const block = Buffer.alloc(Math.ceil(element.length / 4) * 4);
  element.copy(block);
  const head = Buffer.from([0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, block.length / 4]);
  const packet = Buffer.concat([head, block, Buffer.from([1])]);
  const view = new RtpView();
  readRtp(packet, view);
  return [packet, view];
}

test('EncodingTable finds a stream by SSRC, also that of its retransmissions, and a new one by its rid element', () => {
  const encodings = table('q', 'hi');
  encodings.learnExtensions([
    { value: 10, uri: EXTENSION.rid },
    { value: 11, uri: EXTENSION.repairedRid },
  ]);
  const [small, large] = encodings.list as [Encoding, Encoding];
  expect(encodings.find(7)).toBeNull();
  expect(encodings.nameStranger(...packetOf(10, 'hi'), false)).toBe(large);
  expect(encodings.nameStranger(...packetOf(11, 'q'), true)).toBe(small);
  expect(encodings.nameStranger(...packetOf(10, 'q'), true)).toBeNull();
  expect(encodings.nameStranger(...packetOf(10, 'h'), false)).toBeNull();
  small.ssrc = 7;
  large.rtxSsrc = 8;
  expect([encodings.find(7), encodings.find(8)]).toEqual([small, large]);
});

test('EncodingTable takes every stranger for the only stream of a track without simulcast', () => {
  const encodings = table(undefined);
  expect(encodings.nameStranger(...packetOf(1, 'x'), false)).toBe(encodings.list[0]);
  expect(encodings.layers).toEqual([]);
});

test('EncodingTable orders layers as told, then by size once all sizes are known, and never again', () => {
  const encodings = table('f', 'h', 'q');
  const rids = () => encodings.list.map(({ rid, index }) => `${rid}${index}`);
  encodings.order(['q', 'h', 'f']);
  expect(rids()).toEqual(['q0', 'h1', 'f2']);
  const [q, h, f] = encodings.list as [Encoding, Encoding, Encoding];
  encodings.resize(q, 1_280, 720);
  encodings.resize(h, 640, 360);
  expect(rids()).toEqual(['q0', 'h1', 'f2']);
  encodings.resize(f, 320, 180);
  expect(rids()).toEqual(['f0', 'h1', 'q2']);
  encodings.resize(q, 160, 90);
  encodings.order(['q', 'h', 'f']);
  expect(rids()).toEqual(['f0', 'h1', 'q2']);
  expect(encodings.layers[2]).toEqual({ rid: 'q', width: 160, height: 90 });
});

test('EncodingTable does not believe a key frame of a size that nobody may be told of', () => {
  const encodings = table('q', 'f');
  const [encoding] = encodings.list as [Encoding];
  const { payload } = new RtpView();
  payload.setSize(640, 360);
  encodings.learnSizes(encoding, payload);
  for (const [width, height] of [
    [43_019, 768],
    [768, 43_019],
  ] as const) {
    payload.setSize(width, height);
    encodings.learnSizes(encoding, payload);
  }
  expect(trackLayerSchema.array().parse(encodings.layers)[0]).toEqual({ rid: 'q', width: 640, height: 360 });
});

test('RateMeter tells the bits of the last second, and nothing of what was before', () => {
  const meter = new RateMeter();
  for (let nowMs = 0; nowMs <= 3_000; nowMs += 50) {
    meter.sample(nowMs);
    meter.bytes += 500;
  }
  expect(meter.bitsPerSecond).toBeCloseTo(80_000);
  for (let nowMs = 3_050; nowMs <= 4_500; nowMs += 50) meter.sample(nowMs);
  expect(meter.bitsPerSecond).toBe(0);
});
