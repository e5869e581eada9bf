import { expect, test } from 'vitest';
import { buildNack, buildPli, buildReceiverReport, buildSenderReport } from '../rtp/rtcp/build.ts';
import { rtpPacket } from '../testing/test-peer.ts';
import { Bundle } from './bundle.ts';
import type { NativeTrack } from './native-track.ts';
import type { UplinkMedia } from './sections.ts';
import type { RtcTrack } from './track.ts';

const MID_URI = 'urn:ietf:params:rtp-hdrext:sdes:mid';

/** A bundle of uplinks `0` (payload types 111), `1` and `2` (both 96 and 97) and our `s0`, and what each was given. */
function create() {
  const carrier = { onPacket: null, isOpen: true, send: () => true } as unknown as NativeTrack;
  const control: string[] = [];
  const bundle = new Bundle(carrier, (packets) => control.push(...packets.map(({ type }) => type)));
  const got: string[] = [];
  const watch = (track: RtcTrack | undefined) => {
    if (track) track.onPacket = (packet) => got.push(`${track.mid}:${packet.length}`);
  };
  const video = { codecs: [{ payloadType: 96, rtxPayloadType: 97 }], extensions: [{ value: 4, uri: MID_URI }] };
  const audio = { codecs: [{ payloadType: 111 }], extensions: [] };
  bundle.listen('0', { kind: 'audio', ...audio } as unknown as UplinkMedia, []);
  bundle.listen('1', { kind: 'video', ...video } as unknown as UplinkMedia, [500]);
  bundle.listen('2', { kind: 'video', ...video } as unknown as UplinkMedia, []);
  bundle.send('s0', 'video', [900, 901]);
  for (const mid of ['0', '1', '2', 's0']) watch(bundle.track(mid));
  const receive = (packet: Buffer) => {
    got.length = 0;
    carrier.onPacket?.(packet);
    return got.map((entry) => entry.split(':')[0]);
  };
  return { bundle, receive, control };
}

function packet(payloadType: number, ssrc: number, mid?: string): Buffer {
  const plain = rtpPacket({ payloadType, ssrc, sequence: 1, timestamp: 1, marker: false, payload: Buffer.alloc(4) });
  if (mid === undefined) return plain;
  plain[0] = 0x90;
  const element = Buffer.alloc(8);
  element.writeUInt16BE(0xbede, 0);
  element.writeUInt16BE(1, 2);
  element[4] = (4 << 4) | (mid.length - 1);
  element.write(mid, 5, 'latin1');
  return Buffer.concat([plain.subarray(0, 12), element, plain.subarray(12)]);
}

test('Bundle: a packet goes to the m-line whose description names its SSRC', () => {
  const { receive } = create();
  expect(receive(packet(96, 500))).toEqual(['1']);
});

test('Bundle: a stranger is known by its mid element, then by its SSRC', () => {
  const { receive } = create();
  expect(receive(packet(96, 700))).toEqual([]);
  expect(receive(packet(96, 700, '2'))).toEqual(['2']);
  expect(receive(packet(96, 700))).toEqual(['2']);
  expect(receive(packet(97, 701, '2'))).toEqual(['2']);
});

test('Bundle: where an m-line has neither mid nor SSRC, a payload type of its own will do', () => {
  const { bundle, receive } = create();
  expect(receive(packet(111, 42))).toEqual(['0']);
  expect(receive(packet(97, 43))).toEqual([]);
  bundle.ignore('2');
  // The late packets of a track that is gone are not another's.
  expect(receive(packet(97, 43))).toEqual([]);
});

test('Bundle: an m-line takes so many strangers and no more, and forgets all its SSRCs when it ends', () => {
  const { bundle, receive } = create();
  for (let ssrc = 1_000; ssrc < 1_032; ssrc++) expect(receive(packet(96, ssrc, '2'))).toEqual(['2']);
  expect(receive(packet(96, 1_032, '2'))).toEqual([]);
  expect(receive(packet(96, 1_000))).toEqual(['2']);
  bundle.ignore('2');
  expect(receive(packet(96, 1_000))).toEqual([]);
  expect(receive(packet(96, 500))).toEqual(['1']);
});

test('Bundle: of the SSRCs that descriptions name one after the other, the last are known', () => {
  const { bundle, receive } = create();
  const media = { kind: 'video', codecs: [], extensions: [] } as unknown as UplinkMedia;
  for (let ssrc = 1_000; ssrc < 2_000; ssrc++) bundle.listen('1', media, [ssrc, 500]);
  expect([500, 1_000, 1_999].map((ssrc) => receive(packet(96, ssrc)))).toEqual([['1'], [], ['1']]);
});

test('Bundle: RTCP goes once to every m-line that it is about, and once to whoever looks after the connection', () => {
  const { receive, control } = create();
  const block = { fractionLost: 0, packetsLost: 0, highestSequence: 0, jitter: 0, lastSenderReport: 0 };
  const report = { ...block, delaySinceLastSenderReport: 0, ssrc: 900 };
  expect(receive(Buffer.concat([buildReceiverReport(7, [report]), buildPli(7, 901)]))).toEqual(['s0']);
  expect(receive(buildNack(7, 900, [3]))).toEqual(['s0']);
  const times = { ntpSeconds: 1, ntpFraction: 0, rtpTimestamp: 1, packetCount: 1, octetCount: 1 };
  expect(receive(buildSenderReport({ ...times, ssrc: 500, reports: [report] }))).toEqual(['1', 's0']);
  expect(receive(buildPli(7, 12_345))).toEqual([]);
  expect(control).toEqual(['rr', 'pli', 'nack', 'sr', 'pli']);
});

test('Bundle: malformed packets are nobody’s', () => {
  const { receive } = create();
  for (const bytes of [[], [0x80], [0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 1, 244, 0xbe, 0xde, 255, 255]])
    expect(receive(Buffer.from(bytes))).toEqual([]);
});
