import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TransportFeedbackPacket } from '../rtp/rtcp/packets.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import { ArrivalRecorder } from './transport-feedback.ts';

const takeAll = (recorder: ArrivalRecorder) => {
  const packets: TransportFeedbackPacket[] = [];
  for (let packet = recorder.take(1, 2); packet; packet = recorder.take(1, 2))
    packets.push(parseRtcp(packet)[0] as TransportFeedbackPacket);
  return packets;
};

test('ArrivalRecorder reports every packet once, in order, with its losses, across the wrap of the sequence', () => {
  const recorder = new ArrivalRecorder();
  for (const [i, sequence] of [65_533, 65_534, 1, 2].entries()) recorder.record(sequence, 1_000_000 + i * 5_000);
  const [first, ...rest] = takeAll(recorder);
  expect(rest).toEqual([]);
  expect(first).toMatchObject({ baseSequence: 65_533, feedbackCount: 0 });
  expect(first?.arrivalsUs.map((arrival) => arrival !== null)).toEqual([true, true, false, false, true, true]);
  expect(takeAll(recorder)).toEqual([]);
  recorder.record(3, 1_100_000);
  expect(takeAll(recorder)).toMatchObject([{ baseSequence: 3, feedbackCount: 1, arrivalsUs: [expect.any(Number)] }]);
});

test('ArrivalRecorder reports a packet that comes after its loss was reported', () => {
  const recorder = new ArrivalRecorder();
  recorder.record(10, 0);
  recorder.record(12, 2_000);
  takeAll(recorder);
  recorder.record(11, 4_000);
  const [late] = takeAll(recorder);
  expect(late).toMatchObject({ baseSequence: 11 });
  expect(late?.arrivalsUs[0]).not.toBeNull();
});

test('ArrivalRecorder splits long stretches into packets that fit a datagram', () => {
  const recorder = new ArrivalRecorder();
  for (let i = 0; i < 1_500; i++) recorder.record(i, i * 1_000 * (i % 3));
  const packets: Buffer[] = [];
  for (let packet = recorder.take(1, 2); packet; packet = recorder.take(1, 2)) packets.push(packet);
  expect(packets.length).toBe(4);
  for (const packet of packets) expect(packet.length).toBeLessThan(1_200);
});

test('ArrivalRecorder takes any sequence numbers at any time without throwing or looping', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.nat(100_000), fc.boolean()), { maxLength: 200 }),
      (steps) => {
        const recorder = new ArrivalRecorder();
        let timeUs = 0;
        for (const [sequence, stepUs, take] of steps) {
          timeUs += stepUs;
          recorder.record(sequence, timeUs);
          if (take) expect(takeAll(recorder).length).toBeLessThan(50);
        }
        takeAll(recorder);
        expect(recorder.take(1, 2)).toBeNull();
      },
    ),
  );
});

test('ArrivalRecorder reports what was lost between two reports', () => {
  const recorder = new ArrivalRecorder();
  recorder.record(10, 0);
  takeAll(recorder);
  recorder.record(13, 3_000);
  const [feedback] = takeAll(recorder);
  expect(feedback).toMatchObject({ baseSequence: 11, arrivalsUs: [null, null, expect.any(Number)] });
});
