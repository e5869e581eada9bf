import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import { isRtcp, readUint16, writeUint32 } from '../rtp/header.ts';
import { buildNack, buildReceiverReport, buildRemb } from '../rtp/rtcp/build.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import { KeptTrack, mediaBed } from '../testing/media-bed.ts';
import { mediaTime } from '../testing/media-time.ts';
import { SimulatedPath } from '../testing/simulated-path.ts';
import { VP8_DELTA, VP8_KEY } from '../testing/test-peer.ts';
import { Downlink } from './downlink.ts';
import { SMALLEST, type Subscription } from './subscription.ts';

const SSRCS = [101, 202, 303] as const;
const BITRATES = [150_000, 500_000, 1_500_000] as const;
const FRAME_MS = 33;
const PACKET_BYTES = 1_000;
const RTX = { ssrc: 7_777, firstSequence: 65_000 };
const RTX_PAYLOAD_TYPE = 121;

const time = mediaTime();

/** A packet with a transport-wide element, which the publisher's connection brought. */
function videoPacket(ssrc: number, sequence: number, timestamp: number, start: Buffer, bytes: number): Buffer {
  const packet = Buffer.alloc(Math.max(40, bytes));
  packet.set([0x90, 96, sequence >> 8, sequence & 255, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 1, 0x31]);
  writeUint32(packet, 4, timestamp >>> 0);
  writeUint32(packet, 8, ssrc);
  start.copy(packet, 20);
  return packet;
}

type Answer = 'feedback' | 'remb' | 'reports' | 'nothing';

/** One subscriber to a simulcast track behind a simulated path, in virtual time, with the packets as they are. */
function subscriber(path: SimulatedPath, answers: Answer = 'feedback', takesRtx = true) {
  const bed = mediaBed(SSRCS.map((ssrc, i) => ({ rid: 'qhf'[i] as string, ssrc })));
  const clock = new VirtualClock();
  const downlink = new Downlink(bed.counters, clock);
  const arrivals = new ArrivalRecorder();
  const inFlight: { sequence: number; arrivalMs: number }[] = [];
  const deliveries: string[] = [];
  const sent = new Map<number, number>();
  const track = new KeptTrack();
  track.send = (packet) => {
    if (isRtcp(packet)) return true;
    const ssrc = packet.readUInt32BE(8);
    sent.set(ssrc, (sent.get(ssrc) ?? 0) + packet.length);
    const arrivalMs = path.send(packet.length, time.nowMs);
    if (arrivalMs !== null) inFlight.push({ sequence: readUint16(packet, 17), arrivalMs });
    return true;
  };
  const { subscription } = bed.subscribe(96, 10, {
    ...{ downlink, track },
    ...(takesRtx ? { rtx: RTX, rtxPayloadType: RTX_PAYLOAD_TYPE } : {}),
    onDelivery: ({ delivery }: Subscription) => deliveries.push(delivery),
  });
  subscription.setTarget(SMALLEST);
  const report = () => {
    if (answers === 'remb') downlink.receive(parseRtcp(buildRemb(1, path.options.rateBps * 0.9, [96])), time.nowMs);
    if (answers === 'reports') {
      const block = { ssrc: 96, fractionLost: 0, packetsLost: 0, highestSequence: 0, jitter: 0 };
      const report = { ...block, lastSenderReport: 0, delaySinceLastSenderReport: 0 };
      downlink.receive(parseRtcp(buildReceiverReport(1, [report])), time.nowMs);
    }
    while (inFlight[0] && inFlight[0].arrivalMs <= time.nowMs) {
      const { sequence, arrivalMs } = inFlight.shift() as { sequence: number; arrivalMs: number };
      if (answers === 'feedback') arrivals.record(sequence, arrivalMs * 1_000);
    }
    for (let bytes = arrivals.take(1, 2); bytes; bytes = arrivals.take(1, 2))
      downlink.receive(parseRtcp(bytes), time.nowMs);
  };
  const wantsKey = new Set<number>(SSRCS);
  const sequences = new Map<number, number>();
  const sendFrame = (ssrc: number, bitrateBps: number) => {
    const isKey = wantsKey.delete(ssrc);
    let bytes = (bitrateBps * FRAME_MS * (isKey ? 4 : 1)) / 8_000;
    for (let start = isKey ? VP8_KEY : VP8_DELTA; bytes > 0; bytes -= PACKET_BYTES) {
      const sequence = ((sequences.get(ssrc) ?? 0) + 1) & 0xffff;
      sequences.set(ssrc, sequence);
      const packet = videoPacket(ssrc, sequence, time.nowMs * 90, start, Math.min(bytes, PACKET_BYTES));
      if (bytes <= PACKET_BYTES) packet[1] = 96 | 0x80;
      bed.publication.receive(packet);
      start = Buffer.from([0, 1, 2]);
    }
  };
  let asked = 0;
  const publisher = { answersRequests: true };
  const step = () => {
    if (time.nowMs % FRAME_MS === 0) for (const [i, ssrc] of SSRCS.entries()) sendFrame(ssrc, BITRATES[i] as number);
    clock.advance(1);
    if (time.nowMs % 100 === 0) report();
    if (time.nowMs % 50 !== 0) return;
    bed.publication.tick(time.nowMs);
    subscription.tick(time.nowMs);
    downlink.tick([subscription], time.nowMs);
    for (const packet of bed.uplink.rtcp.slice(asked))
      if (packet.type === 'pli' && publisher.answersRequests) wantsKey.add(packet.mediaSsrc);
    asked = bed.uplink.rtcp.length;
  };
  const run = (durationMs: number) => {
    for (const until = time.nowMs + durationMs; time.nowMs < until; time.nowMs++) step();
  };
  /** Seconds until layer `wanted` is sent. */
  const until = (wanted: number | null, limitMs = 15_000) => {
    const fromMs = time.nowMs;
    while (time.nowMs < fromMs + limitMs && (subscription.layer?.spatial ?? null) !== wanted) run(50);
    return (time.nowMs - fromMs) / 1_000;
  };
  return { ...bed, publisher, track, downlink, subscription, deliveries, sent, run, until, clock };
}
const clean = () => new SimulatedPath({ rateBps: 10_000_000, queueMs: 100, delayMs: 20, burstBytes: 4_000, seed: 3 });

test('a subscriber on a clean path gets the best layer, found with padding on the RTX stream', () => {
  const { until, run, downlink, sent, counters } = subscriber(clean());
  expect(until(2)).toBeLessThan(5);
  expect(downlink.availableBps).toBeGreaterThan(1_500_000);
  expect(sent.get(RTX.ssrc)).toBe(counters.paddingBytesOut);
  expect(counters.probes).toBeGreaterThan(0);
  // Everything is sent that is wanted: no padding any more.
  run(3_000);
  const padded = counters.paddingBytesOut;
  run(10_000);
  expect(counters.paddingBytesOut).toBe(padded);
});

test('a path squeezed to 500 kbit/s gets a lower layer within 3 s, and the best within 10 s of the release', () => {
  const path = clean();
  const { until, run, deliveries } = subscriber(path);
  until(2);
  path.setRate(500_000, time.nowMs);
  expect(until(0)).toBeLessThan(3);
  run(10_000);
  path.setRate(10_000_000, time.nowMs);
  expect(until(2)).toBeLessThan(10);
  expect(deliveries).toEqual([]);
});

test('a layer that the path cannot carry at all stops before the key frame of the smaller one comes', () => {
  const path = clean();
  const { until, run, subscription, downlink, publisher } = subscriber(path);
  until(2);
  run(2_000);
  publisher.answersRequests = false;
  path.setRate(300_000, time.nowMs);
  while ((downlink.availableBps ?? 0) > 400_000) run(50);
  run(50);
  expect([subscription.current, subscription.awaited?.index]).toEqual([null, 0]);
  publisher.answersRequests = true;
  expect(until(0)).toBeLessThan(1);
});

test('what came before a change of layers is not sent again', () => {
  const path = clean();
  const { until, run, subscription, track, counters } = subscriber(path);
  until(2);
  run(2_000);
  const before = subscription.nextSequence - 1;
  path.setRate(400_000, time.nowMs);
  until(0);
  run(200);
  const repeated = counters.retransmitted;
  track.onPacket?.(buildNack(1, subscription.ssrc, [before & 0xffff]));
  expect(counters.retransmitted).toBe(repeated);
  track.onPacket?.(buildNack(1, subscription.ssrc, [(subscription.nextSequence - 1) & 0xffff]));
  expect(counters.retransmitted).toBe(repeated + 1);
});

test('what is sent again has half of the path at most', () => {
  const { until, run, downlink } = subscriber(clean());
  until(2);
  run(2_000);
  const repeated = (bytes: number) => {
    let sum = 0;
    while (downlink.mayRepeat(bytes, time.nowMs)) sum += bytes;
    return sum;
  };
  repeated(1_000);
  time.nowMs += 400;
  const share = (repeated(1_000) * 8_000) / 400 / (downlink.availableBps ?? 0);
  expect(share).toBeGreaterThan(0.45);
  expect(share).toBeLessThan(0.55);
  // And of a long silence no more than half a second's.
  time.nowMs += 60_000;
  expect((repeated(1_000) * 8_000) / 500).toBeLessThan((downlink.availableBps ?? 0) * 0.55);
});

test('a path squeezed to 100 kbit/s is told that there is no bandwidth for the video, and when there is again', () => {
  const path = clean();
  const { until, run, deliveries, subscription, sent } = subscriber(path);
  until(2);
  path.setRate(100_000, time.nowMs);
  expect(until(null)).toBeLessThan(4);
  expect(deliveries).toEqual(['no-bandwidth']);
  run(2_000);
  const before = sent.get(subscription.ssrc);
  run(3_000);
  expect(sent.get(subscription.ssrc)).toBe(before);
  path.setRate(10_000_000, time.nowMs);
  until(0);
  expect(deliveries).toEqual(['no-bandwidth', 'flowing']);
});

test('a subscriber that only sends REMB gets what that allows', () => {
  const path = new SimulatedPath({ rateBps: 800_000, queueMs: 100, delayMs: 20 });
  const { until, run, downlink } = subscriber(path, 'remb');
  expect(until(1)).toBeLessThan(5);
  run(5_000);
  expect(until(1)).toBe(0);
  expect(downlink.availableBps).toBeCloseTo(720_000, -3);
});

test('a subscriber that only sends receiver reports without loss gets more and more', () => {
  const { until } = subscriber(clean(), 'reports', false);
  expect(until(2, 30_000)).toBeLessThan(20);
});

test('a subscriber that reports nothing at all gets everything', () => {
  const { until, downlink } = subscriber(clean(), 'nothing', false);
  expect(until(2)).toBeLessThan(5);
  expect(downlink.availableBps).toBeNull();
});

test('a subscriber without RTX gets the best layer without padding, later', () => {
  const { until, counters } = subscriber(clean(), 'feedback', false);
  expect(until(2, 40_000)).toBeLessThan(30);
  expect(counters.paddingBytesOut).toBe(0);
});

test('a subscriber gets no more than it wishes, and no padding for more', () => {
  const { subscription, until, run, counters } = subscriber(clean());
  subscription.wish = { maxLayer: 0 };
  until(0);
  run(2_000);
  const padded = counters.paddingBytesOut;
  run(10_000);
  expect([subscription.layer?.spatial, counters.paddingBytesOut]).toEqual([0, padded]);
});

test('a closed downlink sends no padding', () => {
  const { run, downlink, clock, counters } = subscriber(clean());
  run(400);
  expect(clock.pending).toBe(1);
  downlink.close();
  const padded = counters.paddingBytesOut;
  clock.advance(1_000);
  expect([clock.pending, counters.paddingBytesOut]).toEqual([0, padded]);
});

test('padding is a valid RTP packet of the size that is asked for, with its transport-wide number', () => {
  const { subscribe, receive, counters } = mediaBed();
  const downlink = new Downlink(counters, new VirtualClock());
  const { track, subscription } = subscribe(96, 10, { downlink, rtx: RTX, rtxPayloadType: RTX_PAYLOAD_TYPE });
  receive(1, VP8_KEY);
  for (const bytes of [1, 100, 5_000]) expect(subscription.pad(bytes, 1)).toBe(true);
  const padding = track.sent.slice(-3);
  expect(padding.map(({ length }) => length)).toEqual([21, 100, 275]);
  expect(padding.map((packet) => readUint16(packet, 17))).toEqual([0, 1, 2]);
  expect(track.rtp.slice(-3).map(({ ssrc, sequence, payload }) => [ssrc, sequence, payload.length])).toEqual([
    [7_777, 65_000, 0],
    [7_777, 65_001, 0],
    [7_777, 65_002, 0],
  ]);
});
