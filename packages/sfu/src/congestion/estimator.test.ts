import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TransportFeedbackPacket } from '../rtp/rtcp/packets.ts';
import { SimulatedCall, type SimulatedTrack } from '../testing/simulated-call.ts';
import { type PathOptions, SimulatedPath } from '../testing/simulated-path.ts';
import { BandwidthEstimator } from './estimator.ts';

const AUDIO: SimulatedTrack = { kind: 'audio', layers: [{ spatial: 0, temporal: 0, bitrateBps: 40_000 }] };
const video = (): SimulatedTrack => ({
  kind: 'video',
  layers: [150_000, 500_000, 1_500_000].map((bitrateBps, spatial) => ({ spatial, temporal: 0, bitrateBps, fps: 30 })),
});
const CLEAN: PathOptions = { rateBps: 10_000_000, queueMs: 100, delayMs: 20 };

function callOver(options: Partial<PathOptions>, tracks: SimulatedTrack[] = [AUDIO, video()]) {
  const path = new SimulatedPath({ ...CLEAN, ...options });
  return { path, call: new SimulatedCall(path, tracks) };
}
const layerAt = (call: SimulatedCall) => call.samples.at(-1)?.layers[1];
const secondsUntil = (call: SimulatedCall, layer: number | null, limitSec: number) => {
  const from = call.timeMs;
  while (call.timeMs < from + limitSec * 1_000 && layerAt(call) !== layer) call.run(50);
  return (call.timeMs - from) / 1_000;
};

test.each([1, 2, 3])('a clean path carries the best layer within 4 s and keeps it (seed %i)', (seed) => {
  const { call } = callOver({ seed });
  expect(secondsUntil(call, 2, 10)).toBeLessThan(4);
  call.run(30_000);
  expect(new Set(call.between(5_000, 30_000).map(({ layers }) => layers[1]))).toEqual(new Set([2]));
});

test.each([
  ['a shaper with a short queue', { queueMs: 100, burstBytes: 4_000 }],
  ['a second of queue', { queueMs: 1_000 }],
  ['a policer', { queueMs: 10, burstBytes: 4_000 }],
  ['10 ms of jitter and 1 % of loss', { queueMs: 150, jitterMs: 10, loss: 0.01 }],
])('squeezed to 500 kbit/s by %s: a lower layer within 3 s, up again within 10 s of the release', (_, options) => {
  for (const seed of [1, 2, 3]) {
    const { path, call } = callOver({ ...options, seed });
    call.run(10_000);
    path.setRate(500_000, call.timeMs);
    expect(secondsUntil(call, 0, 10)).toBeLessThan(3);
    call.run(10_000);
    const squeezed = call.between(14_000, 20_000);
    expect(Math.max(...squeezed.map(({ layers }) => layers[1] ?? 0))).toBe(0);
    expect(Math.max(...squeezed.map(({ targetBps }) => targetBps))).toBeLessThan(650_000);
    path.setRate(10_000_000, call.timeMs);
    expect(secondsUntil(call, 2, 15)).toBeLessThan(10);
  }
});

test('squeezed to 100 kbit/s: video is paused within 3 s, audio loses little, and video comes back', () => {
  const { path, call } = callOver({ burstBytes: 4_000, seed: 5 });
  call.run(10_000);
  path.setRate(100_000, call.timeMs);
  expect(secondsUntil(call, null, 10)).toBeLessThan(3);
  call.run(1_000);
  const lostBefore = call.lostAudio;
  const sentBefore = call.sentAudio;
  call.run(30_000);
  expect(call.between(15_000, 40_000).every(({ layers }) => layers[0] === 0 && layers[1] === null)).toBe(true);
  expect((call.lostAudio - lostBefore) / (call.sentAudio - sentBefore)).toBeLessThan(0.03);
  path.setRate(10_000_000, call.timeMs);
  expect(secondsUntil(call, 2, 20)).toBeLessThan(15);
});

test('5 % of random loss costs no layer', () => {
  const { call } = callOver({ loss: 0.05, delayMs: 40, seed: 2 });
  call.run(60_000);
  expect(call.between(15_000, 60_000).filter(({ layers }) => layers[1] !== 2).length).toBeLessThan(20);
});

test('30 ms of jitter costs no layer', () => {
  const { call } = callOver({ jitterMs: 30, delayMs: 40, seed: 2 });
  call.run(60_000);
  expect(call.between(10_000, 60_000).filter(({ layers }) => layers[1] !== 2).length).toBeLessThan(20);
});

test('others’ traffic that takes half of the path is noticed, and its end too', () => {
  const { path, call } = callOver({ rateBps: 2_500_000, queueMs: 300, seed: 4 });
  call.run(15_000);
  expect(layerAt(call)).toBe(2);
  path.options = { ...path.options, crossBps: 1_600_000 };
  expect(secondsUntil(call, 1, 10)).toBeLessThan(3);
  call.run(5_000);
  expect(call.between(22_000, 23_000).every(({ delayMs }) => delayMs < 150)).toBe(true);
  path.options = { ...path.options, crossBps: 0 };
  expect(secondsUntil(call, 2, 20)).toBeLessThan(12);
});

test('six videos share 3 Mbit/s: nobody without a picture, most of the path used, few switches', () => {
  const { call } = callOver({ rateBps: 3_000_000, queueMs: 200, seed: 3 }, [
    AUDIO,
    ...Array.from({ length: 6 }, video),
  ]);
  call.run(60_000);
  const settled = call.between(10_000, 60_000);
  expect(settled.every(({ layers }) => layers.every((layer) => layer !== null))).toBe(true);
  const switches = settled.slice(1).reduce((sum, { layers }, i) => {
    const before = settled[i] as (typeof settled)[number];
    return sum + layers.filter((layer, j) => layer !== before.layers[j]).length;
  }, 0);
  // Per video and minute.
  expect(switches / 6).toBeLessThan(8);
});

/** A video without layers that takes 500 kbit/s, a fifth more or less from time to time, over a path of so many kbit/s. */
function seenAlone(rateKbps: number) {
  const layer = { spatial: 0, temporal: 0, bitrateBps: 500_000, fps: 30 };
  const { call } = callOver({ rateBps: rateKbps * 1_000, burstBytes: 4_000, seed: 1 }, [
    AUDIO,
    { kind: 'video', layers: [layer] },
  ]);
  for (let i = 0; i < 120 * 4; i++) {
    layer.bitrateBps = 500_000 * (1 + 0.1 * Math.sin(i / 9) + 0.08 * Math.sin(i / 2.3));
    call.run(250);
  }
  const shown = call.samples.map(({ layers }) => layers[1] !== null);
  return {
    share: shown.filter(Boolean).length / shown.length,
    changes: shown.filter((now, i) => i > 0 && now !== shown[i - 1]).length,
    lostAudio: call.lostAudio / call.sentAudio,
  };
}

test('a video without layers is seen all the time over a path that carries it with a tenth to spare', () => {
  expect(seenAlone(600)).toMatchObject({ share: 1, changes: 0 });
});

test('a video without layers that the path nearly carries does not come and go', () => {
  const { changes, lostAudio } = seenAlone(560);
  expect(changes).toBeLessThanOrEqual(6);
  expect(lostAudio).toBeLessThan(0.02);
  expect(seenAlone(450)).toMatchObject({ changes: 1 });
});

test('no padding is sent while everything that is wanted is sent', () => {
  const { call } = callOver({});
  call.run(10_000);
  const before = call.paddingBytes;
  call.run(60_000);
  expect(call.paddingBytes).toBe(before);
});

test('BandwidthEstimator knows nothing before the first report, and guesses carefully', () => {
  const estimator = new BandwidthEstimator();
  expect(estimator.availableBps).toBeNull();
  expect(estimator.targetBps).toBe(1_000_000);
});

test('BandwidthEstimator follows REMB while no feedback comes', () => {
  const estimator = new BandwidthEstimator();
  estimator.onRemb(900_000, 100);
  expect(estimator.availableBps).toBe(900_000);
  estimator.onRemb(200_000, 600);
  expect(estimator.availableBps).toBe(200_000);
  estimator.onRemb(0, 700);
  expect(estimator.availableBps).toBe(30_000);
});

test('BandwidthEstimator probes also for REMB, which only rises with what is sent, until that falls', () => {
  const estimator = new BandwidthEstimator();
  estimator.onRemb(900_000, 1);
  const probe = (untilMs: number, remb: (ms: number) => number) => {
    let bytes = 0;
    for (let ms = 10; ms < untilMs; ms += 10) {
      if (ms % 100 === 0) estimator.onRemb(remb(ms), ms);
      if (ms % 50 === 0) estimator.tick(2_000_000, true, ms);
      for (let due = estimator.prober.due(ms); due > 0; due = estimator.prober.due(ms)) {
        estimator.recordUnnumbered(Math.min(due, 255), ms);
        bytes += Math.min(due, 255);
      }
    }
    return bytes;
  };
  const padded = probe(500, () => 900_000);
  expect(padded).toBeGreaterThan((1_350_000 * 0.3) / 8);
  expect(padded).toBeLessThan((1_800_000 * 0.5) / 8);
  expect(probe(3_000, (ms) => 900_000 - ms)).toBeLessThan(padded / 2);
});

test('BandwidthEstimator goes by the loss of receiver reports when nothing else comes', () => {
  const estimator = new BandwidthEstimator();
  const report = (fractionLost: number, fromMs: number, untilMs: number) => {
    for (let ms = fromMs; ms < untilMs; ms += 10) {
      estimator.recordUnnumbered(1_200, ms);
      if (ms % 1_000 === 0) estimator.onReceiverReport(fractionLost, ms);
    }
    return estimator.availableBps as number;
  };
  const grown = report(0, 1_000, 20_000);
  expect(grown).toBeGreaterThan(1_500_000);
  expect(report(0.5, 20_000, 25_000)).toBeLessThan(700_000);
});

test('BandwidthEstimator counts a packet that is repeated under its number as lost, and not as one that came late', () => {
  const lossAfter = (repeats: boolean, arrives: boolean) => {
    const estimator = new BandwidthEstimator();
    for (let i = 0; i < 40; i++) estimator.record(100, i * 20);
    // Asked for, and on its way again, before the report tells.
    if (repeats) for (const lost of [5, 15, 25, 35]) estimator.recordRepeated(lost, 100, lost * 20 + 60);
    const arrivalsUs = Array.from({ length: 40 }, (_, i) => {
      if (i % 10 !== 5) return i * 20_000;
      return arrives ? i * 20_000 + 500_000 : null;
    });
    const report = { type: 'twcc', senderSsrc: 1, mediaSsrc: 2, baseSequence: 0, referenceTime: 0 } as const;
    estimator.onFeedback({ ...report, feedbackCount: 0, arrivalsUs: arrivalsUs.slice(0, 20) }, 500);
    estimator.onFeedback({ ...report, baseSequence: 20, feedbackCount: 1, arrivalsUs: arrivalsUs.slice(20) }, 1_300);
    return estimator.lossShare;
  };
  expect(lossAfter(false, false)).toBeGreaterThan(0.03);
  expect(lossAfter(false, true)).toBe(0);
  expect(lossAfter(true, false)).toBe(lossAfter(false, false));
  expect(lossAfter(true, true)).toBe(lossAfter(false, false));
});

test('BandwidthEstimator sends less when the peer falls silent', () => {
  const { call } = callOver({});
  call.run(5_000);
  const before = call.estimator.targetBps;
  for (let ms = call.timeMs; ms < call.timeMs + 6_000; ms += 20) {
    call.estimator.record(1_200, ms);
    call.estimator.tick(0, true, ms);
  }
  expect(call.estimator.targetBps).toBeLessThan(before / 2);
});

test('BandwidthEstimator stays within its limits, whatever a peer reports', () => {
  const feedback = fc.record({
    baseSequence: fc.nat(0xffff),
    referenceTime: fc.nat(0xffffff),
    arrivalsUs: fc.array(fc.option(fc.integer({ min: -10_000_000, max: 10_000_000 }), { nil: null }), {
      maxLength: 50,
    }),
  });
  const step = fc.oneof(
    feedback,
    fc.record({ remb: fc.nat(2_000_000_000) }),
    fc.record({ loss: fc.integer({ min: 0, max: 255 }) }),
    fc.record({ wantedBps: fc.nat(100_000_000), packets: fc.nat(100) }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2_000), step), { maxLength: 60 }), (steps) => {
      const estimator = new BandwidthEstimator();
      let nowMs = 0;
      for (const [elapsedMs, does] of steps) {
        nowMs += elapsedMs;
        if ('remb' in does) estimator.onRemb(does.remb, nowMs);
        else if ('loss' in does) estimator.onReceiverReport(does.loss / 256, nowMs);
        else if ('packets' in does) {
          for (let i = 0; i < does.packets; i++) estimator.record(1_200, nowMs + i);
          nowMs += does.packets;
          estimator.tick(does.wantedBps, true, nowMs);
        } else {
          const packet: TransportFeedbackPacket = {
            ...{ type: 'twcc', senderSsrc: 1, mediaSsrc: 2, feedbackCount: 0 },
            ...does,
          };
          estimator.onFeedback(packet, nowMs);
        }
        expect(estimator.targetBps).toBeGreaterThanOrEqual(30_000);
        expect(estimator.targetBps).toBeLessThanOrEqual(50_000_000);
        expect(Number.isFinite(estimator.rttMs)).toBe(true);
        expect(estimator.prober.due(nowMs)).toBeLessThan(10_000_000);
      }
    }),
  );
});
