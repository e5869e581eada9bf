import type { ChildProcess } from 'node:child_process';

/** A `MessagePort`, a `Worker` seen from outside, or one end of the channel between two processes. */
export interface RpcPort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (message: Message) => void): unknown;
}

/** Arguments and results are plain data and shared memory. */
// biome-ignore lint/suspicious/noExplicitAny: any function is a method; `call` and `tell` check the arguments
type Methods<T> = { [M in keyof T]: (...args: any[]) => unknown };

type Message =
  | { readonly kind: 'call'; readonly id: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly kind: 'tell'; readonly method: string; readonly args: readonly unknown[] }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string; readonly code: unknown };

/** Calls between two threads or processes: each end offers methods and calls those of the other. Messages keep their order. */
export class Rpc<Remote extends Methods<Remote>> {
  readonly #port: RpcPort;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  /** Why nothing is answered any more; null while the other end is there. */
  #gone: Error | null = null;

  /** @param methods what the other end may call */
  constructor(port: RpcPort, methods: object) {
    this.#port = port;
    port.on('message', (message) =>
      this.#onMessage(message, methods as Record<string, (...args: unknown[]) => unknown>),
    );
  }

  /** Calls a method and waits for its result. An error keeps its message and its `code`. */
  call<M extends keyof Remote & string>(
    method: M,
    ...args: Parameters<Remote[M]>
  ): Promise<Awaited<ReturnType<Remote[M]>>> {
    if (this.#gone) return Promise.reject(this.#gone);
    const id = ++this.#lastId;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#port.postMessage({ kind: 'call', id, method, args });
    return answer.promise as Promise<Awaited<ReturnType<Remote[M]>>>;
  }

  /** Calls a method without an answer. */
  tell<M extends keyof Remote & string>(method: M, ...args: Parameters<Remote[M]>): void {
    this.#port.postMessage({ kind: 'tell', method, args });
  }

  /** The other end is gone: calls that wait for an answer are rejected with `reason`, and so is every later one. */
  end(reason: Error): void {
    this.#gone = reason;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  #onMessage(message: Message, methods: Record<string, (...args: unknown[]) => unknown>): void {
    if (message.kind === 'tell') {
      methods[message.method]?.(...message.args);
    } else if (message.kind === 'call') {
      void this.#answer(message.id, async () => methods[message.method]?.(...message.args));
    } else if (message.kind === 'done' || message.kind === 'failed') {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.kind === 'done') waiting?.resolve(message.result);
      else waiting?.reject(Object.assign(new Error(message.message), { code: message.code }));
    }
  }

  async #answer(id: number, run: () => Promise<unknown>): Promise<void> {
    let reply: Message;
    try {
      reply = { kind: 'done', id, result: await run() };
    } catch (thrown) {
      const { message, code } = thrown as NodeJS.ErrnoException;
      reply = { kind: 'failed', id, message, code };
    }
    this.#port.postMessage(reply);
  }
}

/** One end of the channel between two processes, `serialization: 'advanced'`, as `Rpc` needs it. */
export function processPort(end: ChildProcess | NodeJS.Process): RpcPort {
  return {
    postMessage: (message) => {
      // What a process that just ended cannot be told any more is noticed by its end.
      if (end.connected) end.send?.(message as object, undefined, undefined, () => {});
    },
    on: (_event, listener) => end.on('message', listener as (message: unknown) => void),
  };
}
