import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ByteBudgetMemory, byteBudgetMemory, SharedByteBudget } from './shared-byte-budget.ts';

const KIB_64 = 65_536;

/** Bytes that pass in packets of `size` before one is refused. */
function drain(budget: SharedByteBudget, nowMs: number, size = 1000): number {
  let passed = 0;
  while (budget.take(size, nowMs)) passed += size;
  return passed;
}

test('a second’s worth goes at once, and never less than 64 KiB', () => {
  const burst = (bytesPerSec: number) =>
    drain(new SharedByteBudget(bytesPerSec, byteBudgetMemory(bytesPerSec, 0)), 0, 1);
  expect(burst(100)).toBe(KIB_64);
  expect(burst(200_000)).toBe(200_000);
});

test('two workers have one budget', () => {
  const memory = byteBudgetMemory(100_000, 0);
  const [one, other] = [new SharedByteBudget(100_000, memory), new SharedByteBudget(100_000, memory)];
  expect(drain(one, 0) + drain(other, 0)).toBe(100_000);
  expect([one.take(1, 5), other.take(1, 5)]).toEqual([false, false]);
  expect(drain(one, 500) + drain(other, 500)).toBe(50_000);
});

test('over any sequence of packets no more passes than the rate and one burst, and nearly as much does', () => {
  const packet = fc.record({
    afterMs: fc.double({ min: 0, max: 80, noNaN: true }),
    size: fc.integer({ min: 1, max: 1500 }),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000_000 }),
      fc.double({ min: 0, max: 5e6, noNaN: true }),
      fc.array(packet, { minLength: 1, maxLength: 300 }),
      (bytesPerSec, startMs, packets) => {
        const memory = byteBudgetMemory(bytesPerSec, startMs);
        const workers = [new SharedByteBudget(bytesPerSec, memory), new SharedByteBudget(bytesPerSec, memory)];
        let nowMs = startMs;
        let passed = 0;
        const allowed = () => Math.max(bytesPerSec, KIB_64) + ((nowMs - startMs) / 1000) * bytesPerSec;
        for (const [n, { afterMs, size }] of packets.entries()) {
          nowMs += afterMs;
          if (workers[n % 2]?.take(size, nowMs)) passed += size;
          expect(passed).toBeLessThanOrEqual(allowed() + 1);
        }
        const rest = drain(workers[0] as SharedByteBudget, nowMs + 2000, 1);
        expect(rest).toBeGreaterThanOrEqual(Math.min(Math.max(bytesPerSec, KIB_64), 1.99 * bytesPerSec - 1));
      },
    ),
    { numRuns: 50 },
  );
});

test('after an hour without a packet, and where 32 bits of microseconds turn over, there is one burst', () => {
  const memory = byteBudgetMemory(100_000, 0);
  const budget = new SharedByteBudget(100_000, memory);
  for (const minutes of [0, 20, 36, 60, 71, 72, 143, 600]) expect(drain(budget, minutes * 60_000)).toBe(100_000);
});

test('threads that take at the same time lose no byte of it', async () => {
  const memory: ByteBudgetMemory = byteBudgetMemory(1_000_000, 0);
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then(({ SharedByteBudget }) => {
      const budget = new SharedByteBudget(1_000_000, workerData.memory);
      let passed = 0;
      for (let n = 0; n < 200_000; n++) if (budget.take(7, 0)) passed += 7;
      parentPort.postMessage(passed);
    });`;
  const module = import.meta.resolve('./shared-byte-budget.ts');
  const passed = await Promise.all(
    [0, 1].map(
      () =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(source, { eval: true, workerData: { module, memory } });
          worker.once('message', resolve).once('error', reject);
        }),
    ),
  );
  const sum = passed.reduce((a, b) => a + b);
  expect(sum).toBeLessThanOrEqual(1_000_000);
  // A packet may be refused while another one's bytes are on their way back.
  expect(sum).toBeGreaterThan(999_900);
});
