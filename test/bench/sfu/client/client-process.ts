import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { processPort, Rpc } from '@orama/core';
import type { Target } from '../engine.ts';

const MAIN = join(import.meta.dirname, 'main.ts');

export interface JoinOrder {
  target: Target;
  room: string;
  /** Number of the first client; no two in a room share one. */
  first: number;
  count: number;
  /** How many join at a time; ten unless it says so. */
  atOnce?: number;
  publish: boolean;
  /** Publishers to watch, for an SFU that wants to be told; null for those who only send. */
  feeds: number[] | null;
  /** Waits for each client's first packet as well. */
  media: boolean;
}
export interface JoinOutcome {
  feeds: number[];
  wallMs: number;
  /** From the start of a join to its first packet, in milliseconds. */
  firstPacketMs: number[];
}
export interface SendOrder {
  /** Packets a second, all publishers together. */
  rate: number;
  durationMs: number;
  /** Bytes of a whole RTP packet. */
  size: number;
}

/** What a process of clients does. */
export type ClientMethods = {
  join(order: JoinOrder): Promise<JoinOutcome>;
  send(order: SendOrder): Promise<number>;
  take(): { received: number; delays: number[] };
  leave(): void;
};

/** A process of clients on a core of its own. */
export class ClientProcess {
  readonly #child: ChildProcess;
  readonly #rpc: Rpc<ClientMethods>;
  readonly #gone: Promise<never>;

  constructor(core: number) {
    this.#child = fork(MAIN, [], {
      execPath: 'taskset',
      execArgv: ['-c', String(core), process.execPath, '--conditions=source'],
      serialization: 'advanced',
    });
    this.#rpc = new Rpc<ClientMethods>(processPort(this.#child), {});
    this.#gone = once(this.#child, 'exit').then(([code, signal]) => {
      throw new Error(`a process of clients ended with ${signal ?? code}`);
    });
    this.#gone.catch(() => {});
  }

  /** Has the process do something. Rejects when it fails or the process ends. */
  call<M extends keyof ClientMethods>(
    method: M,
    ...args: Parameters<ClientMethods[M]>
  ): Promise<Awaited<ReturnType<ClientMethods[M]>>> {
    return Promise.race([this.#rpc.call(method, ...args), this.#gone]);
  }

  /** Stops the process where it is: what it is sent overflows its sockets and costs no processor time. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone.catch(() => {});
  }
}
