import { expect, test } from 'vitest';
import { Accusations } from './accusations.ts';
import { type Fuzzed, FuzzFailure, leftIn, playRounds } from './rounds.ts';

const RUN = { target: 'turn', mode: 'threads' } as const;

/** A server that holds one more of `growthBytes` after each round. */
function growing(growthBytes: number): Fuzzed {
  let bytes = 0;
  return {
    judge: new Accusations(),
    start: async () => undefined,
    play: async () => {
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

test('what is thrown in a round, and what the judge was told, are failures with the input that led to them', async () => {
  const server = (play: Fuzzed['play']) => playRounds({ ...growing(0), play }, RUN, { seed: 3, inputs: 1_000 });
  const thrown = server(async (round) => {
    round.doing = 'sending noise';
    round.last = 'ffff';
    throw new Error('it broke');
  });
  await expect(thrown).rejects.toThrow(
    /it broke[\s\S]* while sending noise\n {2}after input 0 of the round with seed 3: ffff/,
  );
  const judge = new Accusations();
  const play: Fuzzed['play'] = (round) =>
    round.sendInputs(
      async () => judge.accuse('an answer of 500'),
      () => Promise.resolve(),
    );
  await expect(playRounds({ ...growing(0), judge, play }, RUN, { seed: 3, inputs: 1_000 })).rejects.toThrow(
    'an answer of 500 while beginning\n  after input 0',
  );
});

test('what is left at the end of a round is told by its series', () => {
  const metrics = new Map([
    ['rooms_total', 7],
    ['rooms{svc="sfu"}', 0],
    ['peers{svc="sfu"}', 2],
  ]);
  expect(leftIn(metrics, /^(rooms|peers)\b/)).toBe('peers{svc="sfu"} is 2');
  expect(leftIn(metrics, /^rooms\b/)).toBeUndefined();
});
