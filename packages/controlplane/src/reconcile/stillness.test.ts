import { expect, test } from 'vitest';
import { Stillness } from './stillness.ts';

const look = (stillness: Stillness, value: unknown, askedAtMs: number, answeredAtMs = askedAtMs) =>
  stillness.look(new Map([['a', value]]), askedAtMs, answeredAtMs).get('a');

test('look() counts from the first answer that had the value to the last question after it', () => {
  const stillness = new Stillness();
  expect(look(stillness, 1, 0, 300)).toEqual({ forMs: 0, moved: false });
  expect(look(stillness, 1, 1_000, 1_400)).toEqual({ forMs: 700, moved: false });
  expect(look(stillness, 2, 2_000, 2_100)).toEqual({ forMs: 0, moved: true });
  expect(look(stillness, 2, 3_000)).toEqual({ forMs: 900, moved: true });
});

test('look() begins anew after a gap, and remembers that the value once moved', () => {
  const stillness = new Stillness(4_000);
  look(stillness, 1, 0);
  look(stillness, 2, 1_000);
  expect(look(stillness, 2, 5_000)).toEqual({ forMs: 4_000, moved: true });
  expect(look(stillness, 2, 9_001)).toEqual({ forMs: 0, moved: true });
  // The question was asked in time, but the answer was long under way.
  expect(look(stillness, 2, 10_000, 20_000)).toEqual({ forMs: 0, moved: true });
  expect(look(stillness, 2, 21_000)).toEqual({ forMs: 1_000, moved: true });
});

test('look() takes a value that appears later for one that moved, and forgets one that goes', () => {
  const stillness = new Stillness();
  stillness.look(new Map(), 0, 0);
  expect(look(stillness, 1, 1_000)).toEqual({ forMs: 0, moved: true });
  stillness.look(new Map(), 2_000, 2_000);
  expect(look(stillness, 1, 9_000)).toEqual({ forMs: 0, moved: true });
});
