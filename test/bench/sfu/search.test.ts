import { expect, test } from 'vitest';
import { highestCarried } from './search.ts';

async function search(limit: number, guess: number) {
  const asked: number[] = [];
  const found = await highestCarried(
    async (rate) => {
      asked.push(rate);
      return rate <= limit;
    },
    guess,
    200_000,
  );
  return { found, asked };
}

test.each([
  [130_000, 130_000, 130_000],
  [137_000, 98_765, 130_000],
  [60_000, 131_000, 60_000],
  [70_000, 131_000, 70_000],
  [10_000, 10_000, 10_000],
  [10_000, 80_000, 10_000],
  [9_000, 80_000, 0],
  [500_000, 200_000, 200_000],
  [500_000, 900_000, 200_000],
])('of a limit of %i packets/s, looked for from %i, %i are found', async (limit, guess, found) => {
  expect(await search(limit, guess)).toMatchObject({ found });
});

test('highestCarried() goes above the limit by one step only, and asks for no rate twice', async () => {
  for (let limit = 0; limit <= 200_000; limit += 5_000) {
    const { asked } = await search(limit, 40_000);
    expect(Math.max(...asked)).toBeLessThanOrEqual(Math.max(40_000, limit + 20_000));
    expect(new Set(asked).size).toBe(asked.length);
  }
});
