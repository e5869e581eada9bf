import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Give up after so long. */
  timeoutMs?: number;
  /** Pause between two looks; four times as long as a look takes, where that is more: looking must not take the processor from what is waited for. */
  intervalMs?: number;
}

/** A condition that did not come true in time; the message says what was seen last. */
export class WaitTimeout extends Error {}

/** Readable text of a value, for messages. */
function show(value: unknown): string {
  if (value instanceof Error) return `an error: ${value.message}`;
  const text = JSON.stringify(value, (_key, each) => (typeof each === 'bigint' ? String(each) : each));
  return text === undefined ? String(value) : text.length > 2_000 ? `${text.slice(0, 2_000)}...` : text;
}

/**
 * Looks until `accept` holds for what `look` returns, and returns that. A look that throws counts as "not yet".
 * @param what says what is awaited, as the end of "timed out waiting for ..."
 * @throws WaitTimeout with the last thing seen
 */
export async function waitUntil<T>(
  what: string,
  look: () => T | Promise<T>,
  accept: (seen: T) => boolean,
  { timeoutMs = 40_000, intervalMs = 50 }: WaitOptions = {},
): Promise<T> {
  const startedAt = performance.now();
  for (;;) {
    let last: unknown;
    const lookedAt = performance.now();
    try {
      const seen = await look();
      if (accept(seen)) return seen;
      last = seen;
    } catch (thrown) {
      last = thrown;
    }
    if (performance.now() - startedAt > timeoutMs) {
      throw new WaitTimeout(`timed out after ${timeoutMs} ms waiting for ${what}; last seen: ${show(last)}`, {
        cause: last,
      });
    }
    const nowMs = performance.now();
    const pauseMs = Math.min(4 * (nowMs - lookedAt), startedAt + timeoutMs - nowMs);
    await delay(Math.max(intervalMs, pauseMs));
  }
}

/** Waits until `look` returns something other than undefined, null and false. */
export async function waitFor<T>(
  what: string,
  look: () => T | Promise<T>,
  options?: WaitOptions,
): Promise<Exclude<T, undefined | null | false>> {
  const accept = (seen: T) => seen !== undefined && seen !== null && seen !== false;
  return (await waitUntil(what, look, accept, options)) as Exclude<T, undefined | null | false>;
}

/** How long `run` took, in milliseconds, with its result. */
export async function timed<T>(run: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const startedAt = performance.now();
  const result = await run();
  return { result, ms: performance.now() - startedAt };
}
