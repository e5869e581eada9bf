import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freeJsonSchema, freeObjectSchema, isNestedWithin } from './free-json.ts';
import { JSON_MAX_DEPTH } from './limits.ts';
import { createRoomSchema } from './rest/rooms.ts';
import { clientFrameSchema } from './signalling/frames.ts';

const nested = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown;

describe('isNestedWithin()', () => {
  it('counts arrays and objects, not what is in them', () => {
    expect(isNestedWithin(7, 0)).toBe(true);
    expect(isNestedWithin([], 0)).toBe(false);
    expect(isNestedWithin({ a: [1, { b: 2 }] }, 3)).toBe(true);
    expect(isNestedWithin({ a: [1, { b: 2 }] }, 2)).toBe(false);
  });

  it('agrees with a recursive count', () => {
    const depthOf = (value: unknown): number =>
      typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(6), (value, max) => {
        expect(isNestedWithin(value, max)).toBe(depthOf(value) <= max);
      }),
    );
  });
});

describe('free JSON of applications', () => {
  it('is taken up to its depth', () => {
    expect(freeJsonSchema.safeParse(nested(JSON_MAX_DEPTH)).success).toBe(true);
    expect(freeJsonSchema.safeParse(nested(JSON_MAX_DEPTH + 1)).success).toBe(false);
  });

  it('is refused without a stack overflow when nested a hundred thousand deep, wherever it may stand', () => {
    const deep = nested(100_000);
    expect(freeObjectSchema.safeParse({ deep }).success).toBe(false);
    expect(clientFrameSchema.safeParse({ type: 'data', data: deep }).success).toBe(false);
    expect(clientFrameSchema.safeParse({ type: 'join', metadata: { deep } }).success).toBe(false);
    expect(createRoomSchema.safeParse({ room_id: 'r', metadata: { deep } }).success).toBe(false);
  });
});
