import { expect, test } from 'vitest';
import { SimulatedPath } from '../testing/simulated-path.ts';
import { Prober } from './prober.ts';

const PADDING_BYTES = 275;
const aim = { targetBps: 500_000, wantedBps: 5_000_000, rttMs: 50, congested: false };

/** Sends one probe through a path, with reports every 100 ms. @returns what it showed and when it was over */
function probe(prober: Prober, path: SimulatedPath, fromMs: number, ownLoss = 0) {
  const reports: { sequence: number; arrivedMs: number }[] = [];
  let sequence = 0;
  let newest = -1;
  let bytes = 0;
  for (let ms = fromMs; ms < fromMs + 3_000; ms += 5) {
    for (; prober.due(ms) > 0; sequence++) {
      const { cluster } = prober;
      prober.sent(sequence, PADDING_BYTES, ms);
      bytes += PADDING_BYTES;
      expect(cluster).toBeGreaterThan(0);
      reports.push({ sequence, arrivedMs: path.send(PADDING_BYTES, ms) ?? Number.NaN });
    }
    if (ms % 100 !== 0) continue;
    while (reports[0] && !(reports[0].arrivedMs > ms)) {
      const report = reports.shift() as { sequence: number; arrivedMs: number };
      newest = report.sequence;
      prober.report(1, report.sequence, report.arrivedMs, ms);
    }
    const result = prober.take(newest, ownLoss, ms);
    if (result) return { ...result, ms: ms - fromMs, bytes };
    prober.tick({ ...aim, congested: true }, ms);
    if (!prober.isUnderWay) return null;
  }
  throw new Error('the probe never ended');
}
const path = (rateBps: number, more: { queueMs?: number; burstBytes?: number; loss?: number } = {}) =>
  new SimulatedPath({ rateBps, queueMs: 1_000, delayMs: 20, ...more });

test('Prober finds a path that takes twice as much, in half a second', () => {
  const prober = new Prober();
  expect(prober.tick(aim, 1_000)).toBe(true);
  const result = probe(prober, path(10_000_000), 1_000);
  expect(result).toMatchObject({ saturated: false });
  expect(result?.bps).toBeGreaterThan(900_000);
  expect(result?.ms).toBeLessThan(700);
});

test('Prober tells what a full path takes, and stops when its queue grows', () => {
  const prober = new Prober();
  prober.tick(aim, 1_000);
  const result = probe(prober, path(550_000), 1_000);
  expect(result).toMatchObject({ saturated: true });
  expect(result?.bps).toBeGreaterThan(450_000);
  expect(result?.bps).toBeLessThan(600_000);
  // All of it would have been 50 KB.
  expect(result?.bytes).toBeLessThan(30_000);
});

test('Prober is not deceived by a token bucket', () => {
  const prober = new Prober();
  prober.tick(aim, 1_000);
  expect(probe(prober, path(500_000, { burstBytes: 5_000, queueMs: 100 }), 1_000)?.bps).toBeLessThan(650_000);
});

test('Prober finds more on a path that loses packets anyway', () => {
  const prober = new Prober();
  prober.tick(aim, 1_000);
  const result = probe(prober, path(10_000_000, { loss: 0.1 }), 1_000, 0.1);
  expect(result?.bps).toBeGreaterThan(800_000);
});

test('Prober sends nothing that nobody wants, and nothing into congestion', () => {
  const prober = new Prober();
  expect(prober.tick({ ...aim, wantedBps: 400_000 }, 1_000)).toBe(false);
  expect(prober.tick({ ...aim, congested: true }, 1_000)).toBe(false);
  expect([prober.due(1_100), prober.cluster, prober.begun]).toEqual([0, 0, 0]);
});

test('Prober goes on at once after a success', () => {
  const prober = new Prober();
  prober.tick(aim, 0);
  const good = probe(prober, path(10_000_000), 0);
  expect(prober.tick(aim, good?.ms ?? 0)).toBe(true);
});

test('Prober waits 2 to 3 s after a failure, longer each time', () => {
  const prober = new Prober();
  const begunMs: number[] = [];
  for (let ms = 0; ms < 20_000; ms += 50) {
    if (prober.tick(aim, ms)) begunMs.push(ms);
    // Nothing could be sent.
    prober.interrupt(ms);
  }
  expect(begunMs).toEqual([0, 2_000, 5_000, 8_000, 11_000, 14_000, 17_000]);
});

test('Prober gives up what is never reported on', () => {
  const prober = new Prober();
  prober.tick(aim, 0);
  for (let i = 0; i < 400; i++) prober.sent(i, 275, i);
  prober.sent(400, 275, 401);
  expect(prober.cluster).toBe(0);
  expect(prober.take(0, 0, 500)).toBeNull();
  prober.tick(aim, 2_000);
  expect(prober.isUnderWay).toBe(false);
});

test('Prober learns nothing when reports are missing, and tries again soon', () => {
  const prober = new Prober();
  prober.tick(aim, 0);
  for (let i = 0; i < 400; i++) prober.sent(i, 275, i + 1);
  for (let i = 0; i < 300; i++) prober.report(1, i, i + 20, 450);
  expect(prober.take(405, 0, 450)).toBeNull();
  expect(prober.isUnderWay).toBe(true);
  expect(prober.take(410, 0, 460)).toBeNull();
  expect(prober.isUnderWay).toBe(false);
  expect([prober.tick(aim, 900), prober.tick(aim, 960)]).toEqual([false, true]);
});

test('Prober takes reports about anything', () => {
  const prober = new Prober();
  prober.report(1, 0, 5, 5);
  prober.tick(aim, 0);
  prober.report(9, 0, 5, 5);
  prober.report(1, 77, 5, 5);
  prober.report(1, -1, Number.NaN, 5);
  expect(prober.take(0, 0, 10)).toBeNull();
});
