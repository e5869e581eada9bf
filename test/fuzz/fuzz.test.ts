import { expect, test } from 'vitest';
import { readCorpus } from './corpus.ts';
import { FuzzFailure, fuzz } from './fuzzer.ts';

test('a thousand mutants of real traffic break no rule of the TURN server', async () => {
  const report = await fuzz({ seed: 1, packets: 1000, corpus: readCorpus() });
  // The mutants got far enough to mean something: behind authentication, and through the relay both ways.
  expect(report.answers.get(0)).toBeGreaterThan(50);
  expect(report.answers.get(401)).toBeGreaterThan(50);
  expect(report.relayedToPeer).toBeGreaterThan(10);
  expect(report.relayedToClient).toBeGreaterThan(10);
});

test('a failure says how to see it again', () => {
  const { message } = new FuzzFailure('an answer of 500', 7, 12, Buffer.from('abc'));
  expect(message).toContain('packet 12 of the round with seed 7: 616263');
  expect(message).toContain('pnpm fuzz turn --seed 7 --packets 1000');
});
