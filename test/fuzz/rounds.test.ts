import { expect, test } from 'vitest';
import { type Fuzzed, FuzzFailure, playRounds } from './rounds.ts';

const RUN = { target: 'turn', mode: 'threads' } as const;

/** A server that holds one more of `growthBytes` after each round. */
function growing(growthBytes: number): Fuzzed {
  let bytes = 0;
  return {
    start: async () => undefined,
    round: async () => {
      bytes += growthBytes;
    },
    memory: async () => ({ bytes, growthMax: 100 }),
    close: async () => undefined,
  };
}

test('a failure says how to see it again', () => {
  const { message } = new FuzzFailure('an answer of 500', RUN, 7, 12, '616263');
  expect(message).toContain('input 12 of the round with seed 7: 616263');
  expect(message).toContain('pnpm fuzz turn --mode threads --seed 7 --inputs 1000');
});

test('memory that grows after the first rounds is a failure, memory that stays is reported', async () => {
  const options = { seed: 1, inputs: 20_000 };
  await expect(playRounds(growing(11), RUN, options)).rejects.toThrow('memory grew from 110 to 220 bytes');
  expect(await playRounds(growing(1), RUN, options)).toEqual({ before: 10, after: 20 });
});
