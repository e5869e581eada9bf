import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SenderReport } from '../rtp/rtcp/packets.ts';
import type { Encoding } from './encoding.ts';
import { Timeline } from './timeline.ts';

const report = (ntpMs: number, rtpTimestamp: number): SenderReport => ({
  ...{ type: 'sr', ssrc: 1, packetCount: 0, octetCount: 0, reports: [] },
  ntpSeconds: Math.floor(ntpMs / 1_000),
  ntpFraction: Math.floor(((ntpMs % 1_000) / 1_000) * 0x1_0000_0000),
  rtpTimestamp: rtpTimestamp >>> 0,
});
const NTP_MS = 3_900_000_000_000;
/** What `at` says, as milliseconds of the publisher's clock per timestamp. */
const lineOf = ({ ntpSeconds, ntpFraction, rtpTimestamp }: ReturnType<Timeline['at']>, rate: number) =>
  ntpSeconds * 1_000 + (ntpFraction / 0x1_0000_0000) * 1_000 - rtpTimestamp / (rate / 1_000);

test('Timeline works a report out for any later moment, on the line of the publisher', () => {
  const timeline = new Timeline(90_000);
  timeline.delta = 4_000;
  expect(timeline.isSynchronised).toBe(false);
  timeline.synchronise(report(NTP_MS + 250, 90_000), 1_000);
  expect(timeline.at(1_000)).toEqual({ ntpSeconds: 3_900_000_000, ntpFraction: 0x4000_0000, rtpTimestamp: 94_000 });
  expect(timeline.at(3_000)).toEqual({ ntpSeconds: 3_900_000_002, ntpFraction: 0x4000_0000, rtpTimestamp: 274_000 });
});

test('lip sync: audio and video of one publisher stay within a few milliseconds over changes, pauses and late reports', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          afterMs: fc.integer({ min: 40, max: 20_000 }),
          layer: fc.integer({ min: 0, max: 2 }),
          reported: fc.boolean(),
          delayMs: fc.integer({ min: 0, max: 300 }),
        }),
        { minLength: 1, maxLength: 30 },
      ),
      (steps) => {
        const bases = [5, 3_000_000_000, 77_000_000];
        const layers = bases.map(() => ({ senderReport: null as SenderReport | null }));
        const timeline = new Timeline(90_000);
        // When the publisher took a picture, its layers' timestamps say that moment.
        const timestampOf = (layer: number, takenMs: number) => ((bases[layer] as number) + takenMs * 90) >>> 0;
        let takenMs = 0;
        let last = -1;
        for (const { afterMs, layer, reported, delayMs } of steps) {
          takenMs += afterMs;
          const encoding = layers[layer] as { senderReport: SenderReport | null };
          if (reported || !timeline.isSynchronised)
            encoding.senderReport = report(NTP_MS + takenMs - 10, timestampOf(layer, takenMs - 10));
          const timestamp = timestampOf(layer, takenMs);
          timeline.continueWith(encoding as Encoding, timestamp, takenMs + delayMs);
          const out = (timestamp + timeline.delta) >>> 0;
          if (last >= 0) expect((out - last) | 0).toBeGreaterThan(0);
          last = out;
          timeline.advance(out, takenMs + delayMs);
          if (!encoding.senderReport) continue;
          timeline.synchronise(encoding.senderReport, takenMs + delayMs);
          // What the subscriber makes of it: when that picture was taken.
          const at = timeline.at(takenMs + delayMs + 500);
          const shownMs =
            at.ntpSeconds * 1_000 + (at.ntpFraction / 0x1_0000_0000) * 1_000 + ((out - at.rtpTimestamp) | 0) / 90;
          expect(Math.abs(shownMs - (NTP_MS + takenMs))).toBeLessThan(5);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('Timeline does not believe a report that would stop time or let it leap', () => {
  const timeline = new Timeline(90_000);
  timeline.advance(1_000, 0);
  timeline.synchronise(report(NTP_MS, 1_000), 0);
  const liar = { senderReport: report(NTP_MS - 3_600_000, 500) } as Encoding;
  timeline.continueWith(liar, 900, 100);
  expect((900 + timeline.delta) >>> 0).toBe(1_000 + 9_000);
  expect(lineOf(timeline.at(100), 90_000)).toBeCloseTo(lineOf(timeline.at(5_000), 90_000));
});

test('a track on the SSRC of one before goes on where that ended, by the time that passed', () => {
  const before = new Timeline(90_000);
  expect(before.end).toBeNull();
  before.advance(4_294_967_000, 1_000);
  const timeline = new Timeline(90_000, before.end);
  timeline.continueWith({ senderReport: null } as Encoding, 77, 3_000);
  expect((77 + timeline.delta) >>> 0).toBe((4_294_967_000 + 2 * 90_000) >>> 0);
});
