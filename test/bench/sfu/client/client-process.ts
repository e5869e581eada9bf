import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { processPort, Rpc } from '@orama/core';
import type { Target } from '../engine.ts';

const MAIN = join(import.meta.dirname, 'main.ts');

interface ClientOrder {
  room: string;
  /** No two clients share one. */
  number: number;
  publish: boolean;
  /** Publishers to watch, for an SFU that wants to be told; null for those who only send. */
  feeds: readonly number[] | null;
}
export interface JoinOrder {
  target: Target;
  clients: ClientOrder[];
  /** How many join at a time. */
  atOnce: number;
  /** Tracks that each client waits for, until the first packet of each; 0 for none. */
  tracks: number;
}
export interface JoinOutcome {
  /** What others need to watch each client, where the SFU wants to be told. */
  feeds: (number | null)[];
  wallMs: number;
  /** From the start of a join to the first packet of every track, in milliseconds; nothing without tracks. */
  firstPacketMs: number[];
}
export interface SendOrder {
  /** Packets a second, all publishers together. */
  rate: number;
  durationMs: number;
  /** Bytes of a whole RTP packet. */
  size: number;
}
export interface SendOutcome {
  sent: number;
  /** Longer than it was told when it could not send so fast. */
  lastedMs: number;
}

/** What a process of clients does. */
export type ClientMethods = {
  join(order: JoinOrder): Promise<JoinOutcome>;
  send(order: SendOrder): Promise<SendOutcome>;
  take(): { delays: number[] };
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
      // On one core a collector with threads of its own only takes turns with itself.
      execArgv: ['-c', String(core), process.execPath, '--single-threaded-gc', '--conditions=source'],
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
