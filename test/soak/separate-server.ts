import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { DAEMON_RUNTIMES } from '@orama/core';
import type { Footprint } from './footprint.ts';
import type { Addresses, SoakedServer } from './server.ts';

const PROGRAM = join(import.meta.dirname, 'server-process.ts');
const NODE_OPTIONS = ['--conditions=source', ...DAEMON_RUNTIMES.turn.nodeOptions];

/** The server in a process of its own, so that nothing the clients hold is taken for the server's. */
export class SeparateServer implements SoakedServer {
  readonly addresses: Addresses;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, addresses: Addresses) {
    this.#child = child;
    this.addresses = addresses;
  }

  static async start(workers: number): Promise<SeparateServer> {
    const child = fork(PROGRAM, [String(workers)], { execArgv: NODE_OPTIONS });
    return new SeparateServer(child, await answer<Addresses>(child));
  }

  measure(): Promise<Footprint> {
    this.#child.send('measure');
    return answer<Footprint>(this.#child);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}

/** The next message of the process. Rejects when it ends instead. */
async function answer<T>(child: ChildProcess): Promise<T> {
  const heard = new AbortController();
  const ended = once(child, 'exit', { signal: heard.signal }).then(([code]) => {
    throw new Error(`the soaked server ended with ${code}`);
  });
  try {
    const [message] = await Promise.race([once(child, 'message', { signal: heard.signal }), ended]);
    return message as T;
  } finally {
    heard.abort();
    ended.catch(() => undefined);
  }
}
