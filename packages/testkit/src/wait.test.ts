import { expect, test } from 'vitest';
import { timed, WaitTimeout, waitFor, waitUntil } from './wait.ts';

test('waitUntil returns what was accepted, and looks again after an exception', async () => {
  let looks = 0;
  const look = () => {
    looks += 1;
    if (looks === 1) throw new Error('not there yet');
    return looks;
  };
  expect(await waitUntil('three looks', look, (seen) => seen >= 3, { intervalMs: 1 })).toBe(3);
});

test('waitUntil says what it waited for and what it saw last', async () => {
  const late = waitUntil(
    'the impossible',
    () => ({ peers: 1 }),
    ({ peers }) => peers > 1,
    { timeoutMs: 20, intervalMs: 5 },
  );
  await expect(late).rejects.toThrow(WaitTimeout);
  await expect(late).rejects.toThrow('timed out after 20 ms waiting for the impossible; last seen: {"peers":1}');
  const failing = waitFor('a file', () => Promise.reject(new Error('ENOENT')), { timeoutMs: 20, intervalMs: 5 });
  await expect(failing).rejects.toThrow('last seen: an error: ENOENT');
});

test('timed measures', async () => {
  const { result, ms } = await timed(async () => 'done');
  expect(result).toBe('done');
  expect(ms).toBeGreaterThanOrEqual(0);
});
