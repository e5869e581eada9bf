import { expect, test } from 'vitest';
import { sharedLook } from './shared-look.ts';

test('who asks during a look shares the next one, and is never told what was seen before', async () => {
  const runs: PromiseWithResolvers<string>[] = [];
  const look = sharedLook(() => {
    const run = Promise.withResolvers<string>();
    runs.push(run);
    return run.promise;
  });
  const first = look();
  await expect.poll(() => runs.length).toBe(1);
  const [second, third] = [look(), look()];
  runs[0]?.resolve('before');
  expect(await first).toBe('before');
  await expect.poll(() => runs.length).toBe(2);
  const fourth = look();
  runs[1]?.reject(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  await expect(third).rejects.toThrow('gone');
  await expect.poll(() => runs.length).toBe(3);
  runs[2]?.resolve('after');
  expect(await fourth).toBe('after');
});
