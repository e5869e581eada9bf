import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Addresses, Size } from '../rule.ts';
import { Client } from '../wire/client.ts';
import { message, TYPE } from '../wire/stun.ts';

export const SECRET = 'a-secret-that-every-engine-shares';
export const REALM = 'orama.localhost';
/** Life of a credential from the server's start: a user keeps its name for the whole run. */
export const TTL_SEC = 3_600;

const START_MS = 30_000;
/** Above the ports that the system gives out: any program's socket on the wildcard address would have one of three. */
const RELAY_FIRST = 61_000;
const RELAY_BLOCK = 4_000;

/** Where one server listens, relays and keeps its files. */
export interface Place {
  readonly dir: string;
  readonly listen: string;
  readonly relay: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly relayPorts: { first: number; last: number };
  readonly addresses: Addresses;
}

let places = 0;

/** A place nobody else has: addresses by process, ports by the system (`::1` is the same for everybody). */
export async function makePlace(name: string, size: Size): Promise<Place> {
  const net = `127.94.${process.pid % 250}`;
  const own = 10 * ++places;
  const first = RELAY_FIRST + 2 * Math.floor(Math.random() * 250);
  const [port, tlsPort] = await freePorts();
  return {
    dir: mkdtempSync(join(tmpdir(), `conformance-${name}-`)),
    listen: `${net}.${own}`,
    relay: `${net}.${own + 1}`,
    port,
    tlsPort,
    relayPorts: { first, last: first + (size === 'tight' ? 2 : RELAY_BLOCK - 1) },
    addresses: {
      client: `${net}.${own + 2}`,
      otherClient: `${net}.${own + 3}`,
      peer: `${net}.${own + 4}`,
      otherPeer: `${net}.${own + 5}`,
      forbiddenPeer: `${net}.${own + 6}`,
    },
  };
}

/** Held at the same time, so that they are two. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer().listen(0, '::1'), createServer().listen(0, '::1')];
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports as [number, number];
}

/** A server's process. */
export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #dir: string;
  #output = '';
  #onOutput: () => void = () => undefined;

  private constructor(child: ChildProcess, dir: string) {
    this.#child = child;
    this.#dir = dir;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
        this.#onOutput();
      });
    }
  }

  /**
   * Starts a program, waits until it answers a Binding request and prepares it. Throws when it is not installed or ends;
   * nothing of it is left then.
   */
  static async start(
    place: Place,
    program: string,
    args: string[],
    prepare: (running: EngineProcess) => Promise<void> = async () => undefined,
  ): Promise<EngineProcess> {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: place.dir });
    const running = new EngineProcess(child, place.dir);
    try {
      await once(child, 'spawn');
      await running.#answers(place);
      await prepare(running);
    } catch (thrown) {
      // What went wrong first is the one to tell.
      await running.stop().catch(() => undefined);
      throw thrown;
    }
    return running;
  }

  /** Waits until the program has written a text. */
  async said(text: string): Promise<void> {
    const late = AbortSignal.timeout(START_MS);
    while (!this.#output.includes(text)) {
      if (late.aborted) throw new Error(`the server does not say ${text}:\n${this.#output}`);
      await new Promise<void>((resolve) => {
        this.#onOutput = resolve;
        late.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  async #answers({ listen, port, addresses }: Place): Promise<void> {
    const server = { address: listen, port };
    const credentials = { username: '', password: '' };
    for (const deadline = performance.now() + START_MS; performance.now() < deadline; ) {
      if (this.#ended !== null) break;
      const options = {
        server,
        credentials,
        transport: 'udp',
        localAddress: addresses.client,
        patienceMs: 200,
      } as const;
      const client = await Client.open(options);
      const answer = await client.ask(message(TYPE.bindingRequest, [])).catch(() => undefined);
      await client.close();
      if (answer !== undefined) return;
      await delay(50);
    }
    throw new Error(`the server does not answer:\n${this.#output}`);
  }

  /** Exit code or signal of a program that has ended. */
  get #ended(): number | string | null {
    return this.#child.exitCode ?? this.#child.signalCode;
  }

  /** Kills it and takes its files away. Throws when it has ended by itself before. */
  async stop(): Promise<void> {
    const ended = this.#ended;
    if (ended === null && this.#child.pid !== undefined) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#dir, { recursive: true, force: true });
    if (ended !== null) throw new Error(`the server ended with ${ended}:\n${this.#output.slice(-2000)}`);
  }
}
