import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Rpc } from './rpc.ts';

/** What the far end of the tests offers; it has state, as a worker does. */
class Counter {
  readonly #counts: number[] = [];

  note(n: number): void {
    this.#counts.push(n);
  }

  async noted(): Promise<number[]> {
    return this.#counts;
  }

  async fail(code: string): Promise<void> {
    throw Object.assign(new Error('the port is taken'), { code });
  }

  add(memory: Int32Array, by: number): void {
    Atomics.add(memory, 0, by);
  }
}

let channel: MessageChannel;
let near: Rpc<Pick<Counter, keyof Counter>>;
beforeEach(() => {
  channel = new MessageChannel();
  new Rpc(channel.port2, new Counter());
  near = new Rpc(channel.port1, {});
});
afterEach(() => channel.port1.close());

test('what is told and called arrives in its order', async () => {
  for (let n = 0; n < 100; n++) near.tell('note', n);
  expect(await near.call('noted')).toEqual(Array.from({ length: 100 }, (_, n) => n));
});

test('an error comes back with its message and code', async () => {
  await expect(near.call('fail', 'EADDRINUSE')).rejects.toMatchObject({
    message: 'the port is taken',
    code: 'EADDRINUSE',
  });
});

test('calls under way do not mix up their answers, and shared memory stays shared', async () => {
  const memory = new Int32Array(new SharedArrayBuffer(4));
  const failed = expect(near.call('fail', 'E')).rejects.toThrow('the port is taken');
  const list = near.call('noted');
  await near.call('add', memory, 5);
  expect(memory[0]).toBe(5);
  expect(await list).toEqual([]);
  await failed;
});
