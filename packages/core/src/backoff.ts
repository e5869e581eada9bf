/** Delay before attempt `attempt` (0, 1, 2 ...): doubles from `baseMs` up to `maxMs`; the upper half is random. */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: () => number = Math.random): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return full / 2 + (full / 2) * random();
}
