import { z } from 'zod';
import { JSON_MAX_DEPTH } from './limits.ts';

/**
 * Whether `value`, as parsed from JSON, nests arrays and objects no deeper than `maxDepth`. Walks without recursion:
 * what comes over a wire may be nested deep enough to overflow the stack of whoever stringifies it.
 */
export function isNestedWithin(value: unknown, maxDepth: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue;
      if (depth === maxDepth) return false;
      for (const inner of Object.values(item)) next.push(inner);
    }
    level = next;
  }
  return true;
}

const isShallow = (value: unknown): boolean => isNestedWithin(value, JSON_MAX_DEPTH);
const tooDeep = { error: `nest arrays and objects at most ${JSON_MAX_DEPTH} deep` };

/** Any JSON value of an application, nested at most `JSON_MAX_DEPTH` deep. */
export const freeJsonSchema = z.unknown().refine(isShallow, tooDeep);

/** A JSON object of an application, nested at most `JSON_MAX_DEPTH` deep. */
export const freeObjectSchema = z.record(z.string(), z.unknown()).refine(isShallow, tooDeep);
