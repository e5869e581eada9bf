import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Encoding } from './encoding.ts';
import { Numbering } from './numbering.ts';

const A = { rid: 'a' } as Encoding;
const B = { rid: 'b' } as Encoding;

test('Numbering goes on without a hole from one encoding to the other, and knows which packet had a number', () => {
  const numbering = new Numbering(65_534);
  numbering.begin(A, 100, 7);
  expect([100, 101, 103].map((sequence) => numbering.take(sequence))).toEqual([65_534, 65_535, 1]);
  numbering.begin(B, 9_000, 8);
  expect(numbering.next).toBe(2);
  expect([9_000, 9_001].map((sequence) => numbering.take(sequence))).toEqual([2, 3]);
  expect(numbering.take(8_999)).toBe(-1);
  expect(numbering.find(0)).toBe(true);
  expect([numbering.foundEncoding, numbering.foundSequence, numbering.foundTimestampDelta]).toEqual([A, 102, 7]);
  expect(numbering.find(3)).toBe(true);
  expect([numbering.foundEncoding, numbering.foundSequence, numbering.foundTimestampDelta]).toEqual([B, 9_001, 8]);
  expect(numbering.find(4)).toBe(false);
  expect(numbering.find(65_533)).toBe(false);
  numbering.begin(B, 9_500, 9);
  expect(numbering.take(9_500)).toBe(4);
  expect(numbering.giveBack(9_500)).toBe(true);
  expect(numbering.take(9_501)).toBe(4);
  expect([1, 3, 4].map((out) => numbering.find(out) && numbering.foundIsCurrent)).toEqual([false, false, true]);
});

test('Numbering: what is left out leaves no hole; what was missing then keeps its number', () => {
  const numbering = new Numbering(0);
  numbering.begin(A, 10, 0);
  expect(numbering.take(10)).toBe(0);
  expect(numbering.take(13)).toBe(3);
  expect(numbering.giveBack(13)).toBe(true);
  expect(numbering.take(14)).toBe(3);
  expect(numbering.giveBack(14)).toBe(true);
  expect(numbering.take(15)).toBe(3);
  expect(numbering.take(12)).toBe(2);
  // Left out too late: something has to be sent under its number.
  expect(numbering.take(11)).toBe(1);
  expect(numbering.giveBack(11)).toBe(false);
  for (const [out, sequence] of [
    [0, 10],
    [1, 11],
    [2, 12],
    [3, 15],
  ] as const) {
    expect(numbering.find(out)).toBe(true);
    expect(numbering.foundSequence).toBe(sequence);
  }
});

test('Numbering still finds packets and takes late ones after any number of rounds', () => {
  const numbering = new Numbering(5);
  numbering.begin(A, 65_000, 3);
  for (let i = 0; i < 200_000; i++) {
    const sequence = (65_000 + i) & 0xffff;
    if (i % 997 === 5) continue;
    expect(numbering.take(sequence)).toBe((5 + i) & 0xffff);
    if (i % 997 === 7) expect(numbering.take((65_000 + i - 2) & 0xffff)).toBe((5 + i - 2) & 0xffff);
  }
  expect(numbering.find((numbering.next - 1_000) & 0xffff)).toBe(true);
  expect(numbering.foundSequence).toBe((65_000 + 199_000) & 0xffff);
  expect(numbering.find((numbering.next - 5_000) & 0xffff)).toBe(false);
});

test('Numbering: whatever is missing, late, left out or switched, every number stands for one packet and none is skipped', () => {
  const step = fc.record({
    ahead: fc.integer({ min: -6, max: 4 }),
    leaveOut: fc.boolean(),
    change: fc.integer({ min: 0, max: 19 }),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 0xffff }),
      fc.array(step, { minLength: 1, maxLength: 150 }),
      (first, base, steps) => {
        const numbering = new Numbering(first);
        let [encoding, other] = [A, B];
        let highest = base;
        numbering.begin(encoding, base, 0);
        const seen = new Set<string>();
        const given = new Map<number, string>();
        for (const { ahead, leaveOut, change } of steps) {
          if (change === 0) {
            [encoding, other] = [other, encoding];
            highest = (highest * 7 + 31) & 0xffff;
            numbering.begin(encoding, highest, 0);
            // Numbers of the stream before may come again in this one only by chance.
            seen.clear();
          }
          const sequence = (highest + ahead) & 0xffff;
          const name = `${encoding.rid}${sequence}`;
          if (seen.has(name)) continue;
          const out = numbering.take(sequence);
          if (out < 0) continue;
          seen.add(name);
          if (ahead > 0) highest = sequence;
          if (leaveOut && numbering.giveBack(sequence)) continue;
          expect(given.has(out)).toBe(false);
          given.set(out, name);
        }
        for (const [out, name] of given) {
          expect(numbering.find(out)).toBe(true);
          expect(`${numbering.foundEncoding?.rid}${numbering.foundSequence}`).toBe(name);
          expect((out - first) & 0xffff).toBeLessThan((numbering.next - first) & 0xffff);
        }
        const missing = ((numbering.next - first) & 0xffff) - given.size;
        expect(missing).toBeGreaterThanOrEqual(0);
        // The packet that a stream begins with never comes here: its number stays missing.
        const begun = 1 + steps.filter(({ change }) => change === 0).length;
        if (steps.every(({ ahead }) => ahead === 1)) expect(missing).toBeLessThanOrEqual(begun);
      },
    ),
    { numRuns: 1_000 },
  );
});
