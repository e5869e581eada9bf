import { Writable } from 'node:stream';
import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import { StreamOutbox } from './stream-outbox.ts';
import { StreamQueue } from './stream-queue.ts';

/** A stream that takes what it is given when it is told to. */
function slowSink(copies = 1) {
  const chunks: Buffer[] = [];
  let done: (() => void) | undefined;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      chunks.push(chunk);
      done = callback;
    },
    writev(given, callback) {
      chunks.push(...given.map(({ chunk }) => chunk));
      done = callback;
    },
  });
  const clock = new VirtualClock();
  const take = () => {
    const taken = done;
    done = undefined;
    taken?.();
  };
  return { stream, queue: new StreamQueue(stream, clock, copies), clock, chunks, take };
}

test('a stream that takes its bytes gets them from where they lie', () => {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      chunks.push(chunk);
      callback();
    },
  });
  const queue = new StreamQueue(stream, new VirtualClock());
  const runs = Array.from({ length: 10 }, (_, n) => Buffer.alloc(1_000, n));
  for (const run of runs) queue.write(run);
  expect(chunks.every((chunk, n) => chunk.buffer === runs[n]?.buffer && chunk.byteOffset === runs[n].byteOffset)).toBe(
    true,
  );
  expect(queue.heldBytes).toBe(0);
  expect(queue.stalledSinceMs).toBeUndefined();
});

test('a stream that does not read holds one shared block, and what waits behind it is copied and counted', () => {
  const outbox = new StreamOutbox();
  const [slow, quick] = [slowSink(), slowSink()];
  const frames = Array.from({ length: 2_000 }, (_, n) => Buffer.alloc(8 + (n % 100), n));
  for (const frame of frames) {
    frame.copy(outbox.reserve(slow.queue, frame.length));
    outbox.commit(frame.length);
    outbox.reserve(quick.queue, 60_000);
    outbox.commit(60_000);
    quick.take();
  }
  outbox.flush();
  const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
  expect(slow.queue.heldBytes).toBeLessThan(bytes + 64 * 1024 + 16 * 1024);
  expect(slow.queue.heldBytes).toBeGreaterThanOrEqual(bytes);
  while (slow.queue.heldBytes > 0) slow.take();
  expect(Buffer.concat(slow.chunks).equals(Buffer.concat(frames))).toBe(true);
  // What was handed over is all there is: each block once, and none of those that others' bytes lie in but the first.
  const held = new Set(slow.chunks.map((chunk) => chunk.buffer));
  expect([...held].reduce((sum, block) => sum + block.byteLength, 0)).toBeLessThan(bytes + 64 * 1024 + 16 * 1024);
  expect(slow.queue.heldBytes).toBe(0);
});

test('a stream that holds a second copy of what it was given is given 64 KB at a time, and both are counted', () => {
  const { stream, queue, chunks, take } = slowSink(2);
  const runs = Array.from({ length: 200 }, (_, n) => Buffer.alloc(1_000, n));
  for (const run of runs) queue.write(run);
  const waiting = Math.ceil(199_000 / 16_384) * 16_384;
  expect(queue.heldBytes).toBe(2 * 1_000 + waiting);
  take();
  expect(stream.writableLength).toBe(65_536);
  expect(queue.heldBytes).toBe(2 * 65_536 + waiting - 65_536);
  while (queue.heldBytes > 0) {
    expect(stream.writableLength).toBeLessThanOrEqual(65_536);
    take();
  }
  expect(Buffer.concat(chunks).equals(Buffer.concat(runs))).toBe(true);
});

test('a stream is stalled from the write it does not take until it takes it', () => {
  const { queue, clock, take } = slowSink();
  clock.advance(5_000);
  queue.write(Buffer.alloc(100));
  const since = clock.monotonic();
  clock.advance(1_000);
  queue.write(Buffer.alloc(100));
  expect(queue.stalledSinceMs).toBe(since);
  take();
  expect(queue.stalledSinceMs).toBe(clock.monotonic());
  take();
  expect(queue.stalledSinceMs).toBeUndefined();
});

test('what waits is handed over before a stream ends, and comes in order', () => {
  const { stream, queue, chunks, take } = slowSink();
  for (const text of ['one ', 'two ', 'three']) queue.write(Buffer.from(text));
  queue.flush();
  stream.end();
  take();
  take();
  expect(Buffer.concat(chunks).toString()).toBe('one two three');
  expect(queue.heldBytes).toBe(0);
});
