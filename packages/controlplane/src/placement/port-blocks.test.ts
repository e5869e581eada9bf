import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blocksIn, freeBlock, type PortBlock, without } from './port-blocks.ts';

const overlaps = (a: PortBlock, b: PortBlock) => a.start <= b.end && b.start <= a.end;

test('freeBlock hands out each block of a range once, then null', () => {
  const size = fc.integer({ min: 1, max: 900 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60_000 }), size, fc.nat(20), fc.nat(900), (start, size, blocks, rest) => {
      const range = { start, end: Math.min(65_535, start + blocks * size + rest) };
      const used: PortBlock[] = [];
      while (used.length < 100) {
        const block = freeBlock(range, size, used);
        if (!block) break;
        expect(block.end - block.start + 1).toBe(size);
        expect(block.start >= range.start && block.end <= range.end).toBe(true);
        expect(used.some((other) => overlaps(block, other))).toBe(false);
        used.push(block);
      }
      expect(used.length).toBe(Math.min(100, blocksIn(range, size)));
    }),
  );
});

test('freeBlock keeps clear of blocks that were given out with another size', () => {
  const used = [{ start: 20_100, end: 20_350 }];
  expect(freeBlock({ start: 20_000, end: 29_999 }, 100, used)).toEqual({ start: 20_000, end: 20_099 });
  expect(freeBlock({ start: 20_000, end: 29_999 }, 200, used)).toEqual({ start: 20_400, end: 20_599 });
});

test('without leaves out ports and nothing else', () => {
  const port = fc.integer({ min: 1, max: 30 });
  fc.assert(
    fc.property(port, port, fc.array(port), (a, b, left) => {
      const range = { start: Math.min(a, b), end: Math.max(a, b) };
      const ports = ({ start, end }: PortBlock) => Array.from({ length: end - start + 1 }, (_, n) => start + n);
      const rest = ports(range).filter((each) => !left.includes(each));
      expect(without(range, left).flatMap(ports)).toEqual(rest);
    }),
  );
});
