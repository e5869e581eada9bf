import { Writable } from 'node:stream';
import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import { StreamOutbox } from './stream-outbox.ts';
import { StreamQueue } from './stream-queue.ts';

function sink() {
  const writes: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      writes.push(chunk);
      done();
    },
  });
  return { stream, queue: new StreamQueue(stream, new VirtualClock()), writes };
}

function send(outbox: StreamOutbox, queue: StreamQueue, frame: Buffer): void {
  frame.copy(outbox.reserve(queue, frame.length));
  outbox.commit(frame.length);
}

/** Less than a turn of the event loop: batched UDP sockets may sleep in one. */
const burstHandled = () => new Promise<void>((resolve) => process.nextTick(resolve));

test('frames for one stream in a row leave in one write when the burst has been handled', async () => {
  const outbox = new StreamOutbox();
  const { queue, writes } = sink();
  for (const text of ['one ', 'two ', 'three']) send(outbox, queue, Buffer.from(text));
  expect(outbox.waiting(queue)).toBe(13);
  expect(writes).toHaveLength(0);
  await burstHandled();
  expect(writes.map(String)).toEqual(['one two three']);
  expect(outbox.waiting(queue)).toBe(0);
});

test('a frame for another stream sends what waited, and nothing is mixed', async () => {
  const outbox = new StreamOutbox();
  const [a, b] = [sink(), sink()];
  send(outbox, a.queue, Buffer.from('a1'));
  send(outbox, b.queue, Buffer.from('b1'));
  send(outbox, a.queue, Buffer.from('a2'));
  await burstHandled();
  expect(a.writes.map(String)).toEqual(['a1', 'a2']);
  expect(b.writes.map(String)).toEqual(['b1']);
});

test('what was written is not written over, however much follows and however large a frame is', async () => {
  const outbox = new StreamOutbox();
  const { queue, writes } = sink();
  const frames = Array.from({ length: 300 }, (_, n) => Buffer.alloc(n % 7 === 0 ? 70_000 : 1_200, n));
  for (const frame of frames) send(outbox, queue, frame);
  await burstHandled();
  expect(Buffer.concat(writes).equals(Buffer.concat(frames))).toBe(true);
  expect(writes.length).toBeLessThan(frames.length / 2);
});

test('less than what was reserved may be sent, and a closed stream loses only its own', async () => {
  const outbox = new StreamOutbox();
  const [gone, here] = [sink(), sink()];
  send(outbox, gone.queue, Buffer.from('lost'));
  gone.stream.destroy();
  outbox.reserve(here.queue, 100).write('kept and cut');
  outbox.commit(4);
  await burstHandled();
  expect(gone.writes).toHaveLength(0);
  expect(here.writes.map(String)).toEqual(['kept']);
});
