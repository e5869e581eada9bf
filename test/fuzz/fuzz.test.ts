import { describe, expect, test } from 'vitest';
import { readCorpus } from './corpus.ts';
import { FuzzFailure, fuzz } from './fuzzer.ts';
import { MODES } from './server-under-test.ts';

describe.each(MODES)('%s', (mode) => {
  test('a thousand mutants of each kind of real traffic break no rule of the TURN server', async () => {
    const { inputs, answers, relayedToPeer, relayedToClient } = await fuzz({
      mode,
      seed: 1,
      packets: 6000,
      corpus: readCorpus(),
    });
    for (const kind of ['udp', 'tcp', 'tls'] as const) expect(inputs[kind]).toBeGreaterThan(900);
    expect(inputs.changes).toBeGreaterThan(10);
    // The mutants got far enough to mean something: behind authentication, and through the relay both ways.
    expect(answers.get(0)).toBeGreaterThan(200);
    expect(answers.get(401)).toBeGreaterThan(200);
    expect(relayedToPeer).toBeGreaterThan(50);
    expect(relayedToClient).toBeGreaterThan(5);
  });
});

test('a failure says how to see it again', () => {
  const round = { mode: 'threads', seed: 7 } as const;
  const { message } = new FuzzFailure('an answer of 500', round, 12, Buffer.from('abc'));
  expect(message).toContain('packet 12 of the round with seed 7: 616263');
  expect(message).toContain('pnpm fuzz turn --mode threads --seed 7 --packets 1000');
});
