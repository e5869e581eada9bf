import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import { OfferPacing } from './offer-pacing.ts';

/** A pacing whose offers are noted with the time, and go out where `lines` says of how many m-lines they are. */
function create(lines: () => number | null = () => 1) {
  const clock = new VirtualClock();
  const startMs = clock.monotonic();
  const offersMs: number[] = [];
  let unanswered = 0;
  const pacing: OfferPacing = new OfferPacing(clock, {
    onTime: () => {
      const count = lines();
      offersMs.push(clock.monotonic() - startMs);
      if (count !== null) pacing.sent(count);
    },
    onUnanswered: () => unanswered++,
  });
  const request = async (times = 1) => {
    for (let i = 0; i < times; i++) pacing.request();
    await Promise.resolve();
  };
  const answer = () => {
    pacing.ended();
    pacing.resume();
  };
  return { clock, pacing, offersMs, request, answer, unanswered: () => unanswered };
}

test('a first offer waits a moment for that of the peer, and follows our answer to it at once', async () => {
  const patient = create();
  await patient.request(3);
  patient.clock.advance(1_000);
  expect(patient.offersMs).toEqual([100]);

  const crossed = create();
  await crossed.request();
  crossed.clock.advance(30);
  crossed.pacing.answers();
  expect(crossed.offersMs).toEqual([]);
  await Promise.resolve();
  expect(crossed.offersMs).toEqual([30]);
});

test('the next offer waits for the answer to the one before, and the longer the more m-lines that had', async () => {
  const counts = [1, 40];
  const { clock, offersMs, request, answer } = create(() => counts.shift() ?? 1);
  await request();
  clock.advance(100);
  await request();
  clock.advance(500);
  expect(offersMs).toEqual([100]);
  answer();
  expect(offersMs).toEqual([100, 600]);
  answer();
  await request();
  clock.advance(1_000);
  expect(offersMs).toEqual([100, 600, 600 + 120 + 40 * 3]);
});

test('where there is nothing to offer, nothing is out, and the next request is served', async () => {
  const { clock, offersMs, request } = create(() => null);
  await request();
  clock.advance(100);
  await request();
  expect(offersMs).toEqual([100, 100]);
});

test('an offer that is taken back is wanted again; one that is answered is not', async () => {
  const { clock, pacing, offersMs, request, answer, unanswered } = create();
  await request();
  clock.advance(100);
  clock.advance(9_999);
  expect(unanswered()).toBe(0);
  clock.advance(1);
  expect(unanswered()).toBe(1);
  pacing.takenBack();
  pacing.answers();
  await Promise.resolve();
  expect(offersMs).toEqual([100, 10_100]);
  answer();
  pacing.takenBack();
  pacing.answers();
  await Promise.resolve();
  clock.advance(20_000);
  expect([offersMs.length, unanswered()]).toEqual([2, 1]);
});

test('after close() no offer is made, and none is missed', async () => {
  const { clock, pacing, offersMs, request, unanswered } = create();
  await request();
  clock.advance(100);
  await request();
  pacing.close();
  pacing.ended();
  pacing.resume();
  clock.advance(20_000);
  expect([offersMs, unanswered()]).toEqual([[100], 0]);
});
