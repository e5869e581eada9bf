import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  buildBye,
  buildFir,
  buildNack,
  buildPli,
  buildReceiverReport,
  buildRemb,
  buildSdes,
  buildSenderReport,
} from './build.ts';
import type { ReportBlock } from './packets.ts';
import { parseRtcp } from './parse.ts';
import { buildTransportFeedback } from './transport-feedback.ts';

const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const reportBlock: fc.Arbitrary<ReportBlock> = fc.record({
  ssrc: uint32,
  fractionLost: fc.integer({ min: 0, max: 255 }),
  packetsLost: fc.integer({ min: -0x800000, max: 0x7fffff }),
  highestSequence: uint32,
  jitter: uint32,
  lastSenderReport: uint32,
  delaySinceLastSenderReport: uint32,
});
const reports = fc.array(reportBlock, { maxLength: 31 });

test('sender and receiver reports, SDES and BYE survive building and parsing, alone and as one compound', () => {
  fc.assert(
    fc.property(
      fc.record({
        ssrc: uint32,
        ntpSeconds: uint32,
        ntpFraction: uint32,
        rtpTimestamp: uint32,
        packetCount: uint32,
        octetCount: uint32,
        reports,
      }),
      fc.string({ maxLength: 40 }),
      fc.array(uint32, { maxLength: 31 }),
      (report, cname, ssrcs) => {
        const compound = Buffer.concat([
          buildSenderReport(report),
          buildReceiverReport(report.ssrc, report.reports),
          buildSdes(report.ssrc, cname),
          buildBye(ssrcs),
        ]);
        expect(parseRtcp(compound)).toEqual([
          { type: 'sr', ...report },
          { type: 'rr', ssrc: report.ssrc, reports: report.reports },
          { type: 'sdes', chunks: [{ ssrc: report.ssrc, cname: Buffer.from(cname).toString() }] },
          { type: 'bye', ssrcs },
        ]);
      },
    ),
  );
});

test('PLI and FIR name the stream that lost its picture', () => {
  expect(parseRtcp(buildPli(1, 77))).toEqual([{ type: 'pli', senderSsrc: 1, mediaSsrc: 77 }]);
  expect(parseRtcp(buildFir(1, 77, 300))).toEqual([
    { type: 'fir', senderSsrc: 1, entries: [{ ssrc: 77, sequence: 44 }] },
  ]);
});

test('a NACK lists exactly the missing packets, neighbours packed into one entry, across the wrap', () => {
  const packet = buildNack(1, 7, [65_534, 65_535, 0, 14, 40]);
  expect(packet.length).toBe(12 + 8);
  expect(parseRtcp(packet)).toEqual([
    { type: 'nack', senderSsrc: 1, mediaSsrc: 7, sequences: [65_534, 65_535, 0, 14, 40] },
  ]);
  fc.assert(
    fc.property(
      uint16,
      fc.uniqueArray(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 60 }),
      (base, offsets) => {
        const sequences = offsets.sort((a, b) => a - b).map((offset) => (base + offset) & 0xffff);
        expect(parseRtcp(buildNack(1, 2, sequences))).toMatchObject([{ sequences }]);
      },
    ),
  );
});

test('REMB keeps the bitrate to one part in 131072', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 10_000_000_000 }),
      fc.array(uint32, { maxLength: 10 }),
      (bitrateBps, ssrcs) => {
        const [packet] = parseRtcp(buildRemb(1, bitrateBps, ssrcs));
        expect(packet).toMatchObject({ type: 'remb', ssrcs });
        const read = (packet as { bitrateBps: number }).bitrateBps;
        expect(read).toBeLessThanOrEqual(bitrateBps);
        expect(bitrateBps - read).toBeLessThanOrEqual(bitrateBps / 131_072);
      },
    ),
  );
});

test('transport-wide feedback gives every arrival back to a quarter of a millisecond, and losses as such', () => {
  const arrivals = fc
    .array(fc.option(fc.integer({ min: -20_000, max: 400_000 }), { nil: null, freq: 5 }), { maxLength: 200 })
    .map((steps) => {
      let timeUs = 1_000_000_000;
      const later = steps.map((step) => {
        timeUs += step ?? 0;
        return step === null ? null : timeUs;
      });
      return [1_000_000_000, ...later];
    });
  fc.assert(
    fc.property(uint16, fc.integer({ min: 0, max: 255 }), arrivals, (baseSequence, feedbackCount, arrivalsUs) => {
      const { packet, covered } = buildTransportFeedback({
        senderSsrc: 1,
        mediaSsrc: 9,
        baseSequence,
        feedbackCount,
        arrivalsUs,
      });
      expect(covered).toBe(arrivalsUs.length);
      const [read] = parseRtcp(packet);
      expect(read).toMatchObject({ type: 'twcc', senderSsrc: 1, mediaSsrc: 9, baseSequence, feedbackCount });
      if (read?.type !== 'twcc') throw new Error('not a feedback packet');
      expect(read.arrivalsUs.length).toBe(arrivalsUs.length);
      read.arrivalsUs.forEach((relativeUs, i) => {
        const sent = arrivalsUs[i] as number | null;
        if (sent === null || relativeUs === null) expect(relativeUs).toBe(sent);
        else expect(Math.abs(read.referenceTime * 64_000 + relativeUs - sent)).toBeLessThan(250);
      });
    }),
  );
});

test('transport-wide feedback ends before an arrival that no delta can express', () => {
  const { covered } = buildTransportFeedback({
    ...{ senderSsrc: 1, mediaSsrc: 1, baseSequence: 0, feedbackCount: 0 },
    arrivalsUs: [0, null, 9_000_000],
  });
  expect(covered).toBe(2);
});

test('of transport-wide feedback a datagram may hold so much and no more, however small it is written', () => {
  const nothing = { senderSsrc: 1, mediaSsrc: 1, feedbackCount: 0, arrivalsUs: new Array<null>(4_096).fill(null) };
  const packets = [0, 4_096, 8_192].map((baseSequence) => buildTransportFeedback({ ...nothing, baseSequence }).packet);
  expect(Buffer.concat(packets).length).toBeLessThan(100);
  expect(parseRtcp(Buffer.concat(packets)).map(({ type }) => type)).toEqual(['twcc', 'twcc']);
  const compound = Buffer.concat([...packets, buildPli(1, 2)]);
  expect(parseRtcp(compound, false).map(({ type }) => type)).toEqual(['other', 'other', 'other', 'pli']);
});

test('parseRtcp never throws and keeps what stood before the damage', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      parseRtcp(bytes);
    }),
    { numRuns: 2_000 },
  );
  const good = Buffer.concat([buildPli(1, 2), buildNack(1, 2, [3]), buildSdes(4, 'name'), buildReceiverReport(5, [])]);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), fc.nat(good.length), (at, value, cut) => {
      const damaged = Buffer.from(good);
      damaged[at] = value;
      parseRtcp(damaged.subarray(0, cut));
    }),
    { numRuns: 2_000 },
  );
  expect(parseRtcp(Buffer.concat([buildPli(1, 2), Buffer.from([0x81, 206, 0xff, 0xff])]))).toEqual([
    { type: 'pli', senderSsrc: 1, mediaSsrc: 2 },
  ]);
});
