import { expect, test } from 'vitest';
import { OverloadGuard } from './overload.ts';

const load = (delayP99Sec: number, utilization = 0.5) => ({ delayP50Sec: 0, delayP99Sec, delayMaxSec: 0, utilization });

function noted(guard: OverloadGuard, ...loads: ReturnType<typeof load>[]): boolean {
  for (const each of loads) guard.note(each);
  return guard.isBusy;
}

test('OverloadGuard says busy after three late or full windows in a row, not after one', () => {
  const guard = new OverloadGuard();
  expect(noted(guard, load(0.2), load(0.2), load(0.01), load(0.2), load(0.2))).toBe(false);
  expect(noted(guard, load(0.2))).toBe(true);
  expect(noted(new OverloadGuard(), load(0, 0.95), load(0, 0.95), load(0, 0.95))).toBe(true);
});

test('OverloadGuard says easy only after five windows well below', () => {
  const guard = new OverloadGuard();
  noted(guard, load(0.2), load(0.2), load(0.2));
  expect(noted(guard, load(0.01), load(0.01), load(0.03), load(0.01), load(0.01), load(0.01), load(0.01))).toBe(true);
  expect(noted(guard, load(0.01))).toBe(false);
});
