import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildNack } from '../rtp/rtcp/build.ts';
import { mediaBed } from '../testing/media-bed.ts';
import { VP8_DELTA, VP8_KEY } from '../testing/test-peer.ts';

test('each subscriber gets the packets under its own SSRC, payload type and numbers, retransmissions too', () => {
  const { subscribe, receive } = mediaBed();
  const one = subscribe(96, 65_535);
  const two = subscribe(120, 7);
  receive(500, VP8_KEY);
  receive(501, VP8_DELTA);
  receive(502, VP8_DELTA);
  expect(one.track.rtp.map(({ sequence, ssrc, payloadType }) => [sequence, ssrc, payloadType])).toEqual([
    [65_535, 9_096, 96],
    [0, 9_096, 96],
    [1, 9_096, 96],
  ]);
  expect(two.track.rtp.map(({ sequence, timestamp, payloadType }) => [sequence, timestamp, payloadType])).toEqual([
    [7, 5_000, 120],
    [8, 5_010, 120],
    [9, 5_020, 120],
  ]);
  one.track.onPacket?.(buildNack(1, 9_096, [0, 2]));
  expect(one.track.rtp.slice(3)).toMatchObject([
    { sequence: 0, timestamp: 5_010, ssrc: 9_096, payloadType: 96, payload: VP8_DELTA },
  ]);
  expect(two.track.rtp.length).toBe(3);
});

test("a retransmission on the publisher's RTX stream fills the hole for everyone, once", () => {
  const { subscribe, receive, uplink } = mediaBed();
  const { track } = subscribe(96, 0);
  receive(10, VP8_KEY);
  receive(12, VP8_DELTA);
  const missing = Buffer.concat([Buffer.from([0, 11]), VP8_DELTA]);
  receive(900, missing, { payloadType: 97, ssrc: 51, timestamp: 110 });
  receive(901, missing, { payloadType: 97, ssrc: 51, timestamp: 110 });
  expect(track.rtp.map(({ sequence, timestamp }) => [sequence, timestamp])).toEqual([
    [0, 100],
    [2, 120],
    [1, 110],
  ]);
  expect(uplink.sent.filter((packet) => packet[1] === 205).length).toBe(1);
});

test('a new source behind the same track goes on with continuous numbers and rising time, from its key frame', () => {
  const { subscribe, receive } = mediaBed();
  const { track } = subscribe(96, 0);
  receive(10, VP8_KEY);
  receive(11, VP8_DELTA);
  receive(40_000, VP8_DELTA, { ssrc: 77, timestamp: 4_000_000_000 });
  receive(40_001, VP8_KEY, { ssrc: 77, timestamp: 4_000_003_000 });
  receive(40_002, VP8_DELTA, { ssrc: 77, timestamp: 4_000_006_000 });
  const [, second, third, fourth] = track.rtp;
  expect(track.rtp.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3]);
  expect(third?.timestamp).toBeGreaterThan(second?.timestamp as number);
  expect(third?.timestamp).toBeLessThan((second?.timestamp as number) + 90_000);
  expect(fourth?.timestamp).toBe((third?.timestamp as number) + 3_000);
  track.onPacket?.(buildNack(1, 9_096, [1, 2]));
  expect(track.rtp.slice(4)).toMatchObject([{ sequence: 2, payload: VP8_KEY }]);
});

test('another codec of the publisher is told and not forwarded under the old payload type', () => {
  const { publication, subscribe, receive, codecChanges } = mediaBed();
  const { track, subscription } = subscribe(96, 0);
  receive(10, VP8_KEY);
  receive(11, Buffer.from([0x65, 1]), { payloadType: 102 });
  expect(codecChanges).toEqual([publication]);
  expect(track.rtp.length).toBe(1);
  subscription.activate(track.as(), publication.codec, { media: 103, nack: true });
  receive(12, Buffer.from([0x41, 1]), { payloadType: 102 });
  receive(13, Buffer.from([0x65, 0x88]), { payloadType: 102 });
  expect(track.rtp.slice(1)).toMatchObject([{ sequence: 1, payloadType: 103 }]);
});

test('a key frame whose first packet was lost and comes late is had whole by asking for the rest', () => {
  const { subscribe, receive } = mediaBed();
  const { track, subscription } = subscribe(96, 0);
  receive(9, VP8_DELTA);
  for (const sequence of [11, 12, 13]) receive(sequence, VP8_DELTA, { timestamp: 900 });
  receive(10, VP8_KEY, { timestamp: 900 });
  receive(14, VP8_DELTA);
  expect(track.rtp.map(({ sequence }) => sequence)).toEqual([0, 4]);
  track.onPacket?.(buildNack(1, subscription.ssrc, [1, 2, 3]));
  expect(track.rtp.slice(2).map(({ sequence, timestamp }) => [sequence, timestamp])).toEqual([
    [1, 900],
    [2, 900],
    [3, 900],
  ]);
});

test('whatever a publisher sends and a subscriber asks for, nothing throws and only whole RTP packets go out', () => {
  const packet = fc.record({
    sequence: fc.integer({ min: 0, max: 0xffff }),
    ssrc: fc.constantFrom(50, 51, 52, 53, 0xffffffff),
    payloadType: fc.constantFrom(96, 97, 98, 102, 111),
    marker: fc.boolean(),
    timestamp: fc.nat(0xffffffff),
    payload: fc.uint8Array({ maxLength: 40 }),
  });
  const target = fc.option(fc.record({ spatial: fc.nat(4), temporal: fc.nat(4) }), { nil: null });
  fc.assert(
    fc.property(
      fc.array(fc.oneof(packet, target, fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })), {
        maxLength: 80,
      }),
      fc.boolean(),
      (steps, isSimulcast) => {
        const layers = ['q', 'h', 'f'].map((rid, i) => ({ rid, ssrc: 50 + i }));
        const { subscribe, receive, publication } = mediaBed(isSimulcast ? layers : undefined);
        const { track, subscription } = subscribe(96, 0, { rtx: { ssrc: 7, firstSequence: 0 }, rtxPayloadType: 121 });
        for (const step of steps) {
          if (Array.isArray(step)) track.onPacket?.(buildNack(1, subscription.ssrc, step));
          else if (step === null || 'spatial' in step) subscription.setTarget(step);
          else receive(step.sequence, Buffer.from(step.payload), { ...step, payload: Buffer.from(step.payload) });
          publication.tick(performance.now());
          subscription.tick(performance.now());
        }
        for (const { ssrc } of track.rtp) expect([subscription.ssrc, 7]).toContain(ssrc);
      },
    ),
    { numRuns: 500 },
  );
});

test('whatever order packets come in, no sequence number stands for two packets', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 0xffff }),
      fc.array(fc.record({ ahead: fc.integer({ min: -20, max: 20 }), key: fc.boolean(), toggle: fc.boolean() }), {
        maxLength: 120,
      }),
      (base, firstSequence, steps) => {
        const { subscribe, receive } = mediaBed();
        const { track, subscription } = subscribe(96, firstSequence);
        let sequence = base;
        for (const { ahead, key, toggle } of steps) {
          sequence = (sequence + ahead) & 0xffff;
          if (toggle) subscription.setEnabled(!subscription.enabled);
          receive(sequence, key ? VP8_KEY : VP8_DELTA, { timestamp: sequence });
        }
        const byNumber = new Map<number, number>();
        for (const packet of track.rtp) {
          expect(byNumber.get(packet.sequence) ?? packet.timestamp).toBe(packet.timestamp);
          byNumber.set(packet.sequence, packet.timestamp);
        }
      },
    ),
  );
});
