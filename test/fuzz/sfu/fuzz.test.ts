import { expect, test } from 'vitest';
import { fuzzSfu } from './fuzzer.ts';

test('thousands of mutants of real sessions break no rule of the SFU, handed to its connections', async () => {
  const { reach, answers, sentRtp, sentRtcp } = await fuzzSfu('handed', { seed: 1, inputs: 1_500 });
  for (const [kind, count] of reach.sent) expect(count, kind).toBeGreaterThan(5);
  // The mutants got far enough to mean something: through to subscribers, taken, and refused for many reasons.
  expect(sentRtp).toBeGreaterThan(500);
  expect(sentRtcp).toBeGreaterThan(200);
  for (const kind of ['frames', 'offers', 'answers', 'candidates', 'datagrams', 'http'] as const)
    expect(reach.shareOf(kind), kind).toBeGreaterThan(0.1);
  for (const [what, count] of reach.counters) expect(count, what).toBeGreaterThan(0);
  const codes = [
    'invalid_message',
    'invalid_offer',
    'invalid_answer',
    'invalid_candidate',
    'unknown_track',
    'HTTP 400',
  ];
  for (const code of codes) expect(answers.get(code), code).toBeGreaterThan(2);
});

test('a thousand mutants of real sessions break no rule of the SFU, over the wire to a process of its own', async () => {
  const { answers, sentRtp, sentRtcp } = await fuzzSfu('wire', { seed: 1, inputs: 1_000 });
  expect(sentRtp).toBeGreaterThan(50);
  expect(sentRtcp).toBeGreaterThan(20);
  expect(answers.get('invalid_message')).toBeGreaterThan(0);
});
