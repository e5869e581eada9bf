import { expect, test } from 'vitest';
import { translatedIds } from '../rtc/sections.ts';
import { RtpView, readRtp, unwrapRtx } from '../rtp/header.ts';
import { buildNack, buildReceiverReport } from '../rtp/rtcp/build.ts';
import { BED_SSRC, type KeptTrack, mediaBed } from '../testing/media-bed.ts';
import { mediaTime } from '../testing/media-time.ts';
import { VP8_DELTA, VP8_KEY } from '../testing/test-peer.ts';

const time = mediaTime();

const RTX = { rtx: { ssrc: 7_777, firstSequence: 65_535 }, rtxPayloadType: 121 };
const nack = (track: KeptTrack, ssrc: number, ...sequences: number[]) =>
  track.onPacket?.(buildNack(1, ssrc, sequences));

test('a repeated packet goes on the RTX stream where the subscriber takes one, and unwraps to what was sent', () => {
  const { subscribe, receive } = mediaBed();
  const { track, subscription } = subscribe(96, 10, RTX);
  receive(500, VP8_KEY);
  receive(501, VP8_DELTA, { marker: true });
  nack(track, subscription.ssrc, 10, 11);
  const [first, second, one, two] = track.sent as [Buffer, Buffer, Buffer, Buffer];
  expect(track.rtp.slice(2)).toMatchObject([
    { ssrc: 7_777, payloadType: 121, sequence: 65_535, timestamp: 5_000, marker: false },
    { ssrc: 7_777, payloadType: 121, sequence: 0, timestamp: 5_010, marker: true },
  ]);
  for (const [original, repeated] of [
    [first, one],
    [second, two],
  ] as const) {
    const view = new RtpView();
    const packet = Buffer.from(repeated);
    readRtp(packet, view);
    expect(unwrapRtx(packet, view, 96, subscription.ssrc)).toEqual(original);
  }
  expect(subscription.nextRtxSequence).toBe(1);
});

test('repeating leaves the kept packet as it was: the next one to ask gets it under its own numbers', () => {
  const { subscribe, receive } = mediaBed();
  const one = subscribe(96, 10, RTX);
  const two = subscribe(120, 900);
  receive(500, VP8_KEY);
  receive(501, VP8_DELTA);
  nack(one.track, one.subscription.ssrc, 11);
  nack(two.track, two.subscription.ssrc, 901);
  expect(two.track.rtp[2]).toEqual(two.track.rtp[1]);
  time.nowMs += 1_000;
  nack(one.track, one.subscription.ssrc, 11);
  expect(one.track.rtp[3]).toEqual({ ...one.track.rtp[2], sequence: 0 });
});

test('a packet is repeated once in a round trip, which the answers to sender reports tell', () => {
  const { subscribe, receive, counters, publication } = mediaBed();
  const { track, subscription } = subscribe();
  receive(500, VP8_KEY);
  publication.receive(
    Buffer.from([
      ...[0x80, 200, 0, 6, 0, 0, 0, BED_SSRC, 0x80, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0x13, 0x88],
      ...[0, 0, 0, 1, 0, 0, 0, 1],
    ]),
  );
  const asked = () => {
    nack(track, subscription.ssrc, 0);
    return counters.retransmitted;
  };
  expect(asked()).toBe(1);
  time.nowMs += 60;
  expect(asked()).toBe(1);
  // Before it is known a round trip is taken for 100 ms, and nearly one is enough.
  time.nowMs += 11;
  expect(asked()).toBe(2);
  track.onPacket?.(
    buildReceiverReport(1, [
      {
        ...{ ssrc: subscription.ssrc, fractionLost: 64, packetsLost: 1, highestSequence: 0, jitter: 0 },
        ...{ lastSenderReport: 0x02030405, delaySinceLastSenderReport: Math.round(41 * 65.536) },
      },
    ]),
  );
  expect(subscription.rttMs).toBeCloseTo(30, 0);
  expect(subscription.loss).toBe(0.25);
  time.nowMs += 31;
  expect(asked()).toBe(3);
});

/** A packet with a transport-wide number and an absolute send time, that were the publisher's. */
function numbered(sequence: number, payload: Buffer): Buffer {
  const elements = [0x31, 9, 9, 0x22, 9, 9, 9, 0];
  const head = [0x90, 96, sequence >> 8, sequence & 255, 0, 0, 0, sequence & 255, 0, 0, 0, BED_SSRC];
  return Buffer.from([...head, 0xbe, 0xde, 0, 2, ...elements, ...payload]);
}

test('without RTX a repeated packet is the one that was sent, to the last bit: SRTP has one index for both', () => {
  const { subscribe, publication, counters } = mediaBed();
  const one = subscribe(96, 10);
  const other = subscribe(97, 900, { nack: false });
  publication.receive(numbered(500, VP8_KEY));
  for (let i = 1; i < 5; i++) {
    time.nowMs += 20;
    publication.receive(numbered(500 + i, VP8_DELTA));
  }
  const first = one.track.sent.slice();
  time.nowMs += 200;
  nack(one.track, one.subscription.ssrc, 10, 12, 14);
  expect(one.track.sent.slice(5)).toEqual([first[0], first[2], first[4]]);
  // Who did not agree to ask is not kept anything for.
  nack(other.track, other.subscription.ssrc, 900, 901);
  expect([other.track.sent.length, counters.retransmitted]).toEqual([5, 3]);
  // What was agreed anew may have other ids and payload types: nothing from before goes out again.
  const agree = () => one.subscription.activate(one.track.as(), publication.codec, { media: 96, nack: true });
  agree();
  time.nowMs += 200;
  nack(one.track, one.subscription.ssrc, 13);
  expect(counters.retransmitted).toBe(4);
  one.track.extensionIds = translatedIds([]);
  agree();
  time.nowMs += 200;
  nack(one.track, one.subscription.ssrc, 13);
  expect(counters.retransmitted).toBe(4);
});

test('a number is never used for two packets, however late and often the publisher sends one of the same number', () => {
  const { subscribe, receive, publication } = mediaBed();
  const { track } = subscribe(96, 0);
  receive(500, VP8_KEY);
  for (let i = 1; i < 300; i++) receive(500 + i, VP8_DELTA);
  const before = track.sent.length;
  receive(700, VP8_KEY);
  time.nowMs += 10_000;
  publication.tick(time.nowMs);
  for (const sequence of [799, 700, 510, 500]) receive(sequence, VP8_KEY);
  expect(track.sent.length).toBe(before);
  receive(800, VP8_DELTA);
  expect(track.rtp.at(-1)?.sequence).toBe(300);
});

test('what came before a key frame that the stream began anew with is not repeated: its picture numbers are no longer known', () => {
  const { subscribe, receive, counters } = mediaBed();
  const { track, subscription } = subscribe();
  receive(500, VP8_KEY);
  receive(501, VP8_DELTA);
  subscription.setEnabled(false);
  subscription.setEnabled(true);
  time.nowMs += 1_000;
  receive(502, VP8_KEY);
  receive(503, VP8_DELTA);
  nack(track, subscription.ssrc, 0, 1);
  expect(counters.retransmitted).toBe(0);
  nack(track, subscription.ssrc, 2, 3);
  expect(counters.retransmitted).toBe(2);
});

test('what was never sent, is long gone or belongs to a muted track is not repeated; nor is more than the budget', () => {
  const { subscribe, receive, publication, counters } = mediaBed();
  const { track, subscription } = subscribe();
  receive(500, VP8_KEY);
  for (let i = 1; i < 400; i++) receive(500 + i, VP8_DELTA);
  nack(track, subscription.ssrc, 400, 401, 65_535);
  expect(counters.retransmitted).toBe(0);
  nack(track, subscription.ssrc, ...Array.from({ length: 400 }, (_, i) => i));
  expect(counters.retransmitted).toBe(300);
  publication.setForcedMute(true);
  time.nowMs += 200;
  nack(track, subscription.ssrc, 399);
  expect(counters.retransmitted).toBe(300);
  publication.setForcedMute(false);
  time.nowMs += 5_000;
  subscription.tick(time.nowMs);
  nack(track, subscription.ssrc, 399);
  expect(counters.retransmitted).toBe(300);
  expect(counters.nacksIn).toBe(404);
});
