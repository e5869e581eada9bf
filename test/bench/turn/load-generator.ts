import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { issueTurnCredentials } from '@orama/core';
import { ADDRESSES, NAMESPACE, REALM, SECRET, SERVER_PORT } from './engine.ts';

const SOURCES = join(import.meta.dirname, 'load');
const CREDENTIAL_TTL_SEC = 3600;
/** Requests under way at once while allocations are made. */
const WINDOW = 32;

/** Where packets come from, and how they travel between client and server; `direct` leaves the server out. */
export type Flow = 'channel-up' | 'channel-down' | 'send-up' | 'data-down' | 'direct';

export interface Traffic {
  flow: Flow;
  /** Bytes of payload. */
  size: number;
  /** Packets a second, all clients together. */
  rate: number;
  durationMs: number;
  /** Packets that one client sends at once. They arrive at the server one by one, but behind each other. */
  burst: number;
  /** Measures the delay of every packet, by the system's receive timestamp. */
  delay: boolean;
}

export interface TrafficResult {
  sent: number;
  /** Packets that the generator could not send in time. */
  skipped: number;
  received: number;
  /** Packets that were not what was sent. */
  broken: number;
  /** Packets that reached the generator's sockets and found them full. */
  ownDrops: number;
  wallMs: number;
  serverCpuUs: number;
  ownCpuUs: number;
  p50Us: number;
  p99Us: number;
  /** The middle one of the p99s of each tenth of a second. */
  windowP99Us: number;
}

export interface SetUpResult {
  count: number;
  wallMs: number;
  serverCpuUs: number;
}

/** Compiles the load generator; returns its path. */
export function compileLoadGenerator(directory: string): string {
  const program = join(directory, 'turn-load');
  execFileSync('gcc', ['-O2', '-Wall', '-D_GNU_SOURCE', '-o', program, ...globSync(join(SOURCES, '*.c'))]);
  return program;
}

/** The C program that plays all clients and their peers, one command at a time. */
export class LoadGenerator {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(placed: readonly string[], program: string, serverPid: number) {
    const credentials = {
      secret: SECRET,
      namespace: NAMESPACE,
      ttlSec: CREDENTIAL_TTL_SEC,
      uris: [],
      nowMs: Date.now(),
    };
    const { username, password } = issueTurnCredentials(credentials);
    const key = createHash('md5').update(`${username}:${REALM}:${password}`).digest('hex');
    const { server, client, peer } = ADDRESSES;
    const [first = '', ...args] = [
      ...placed,
      program,
      server,
      SERVER_PORT,
      client,
      peer,
      username,
      REALM,
      key,
      serverPid,
    ].map(String);
    this.#child = spawn(first, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('the load generator has no output');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Makes allocations with a bound channel each; with `peers` each gets a peer to exchange packets with. */
  open(count: number, peers: boolean): Promise<SetUpResult> {
    return this.#command(`open ${count} ${WINDOW} ${Number(peers)}`);
  }

  /** Ends every allocation. */
  closeAll(): Promise<SetUpResult> {
    return this.#command(`close ${WINDOW}`);
  }

  run({ flow, size, rate, durationMs, burst, delay }: Traffic): Promise<TrafficResult> {
    return this.#command(`run ${flow} ${size} ${rate} ${durationMs} ${burst} ${Number(delay)}`);
  }

  /** Times a fixed piece of work on a core, and looks for stalls of 0.1 ms and longer for a second. */
  calibrate(core: number): Promise<{ wallUs: number; cpuUs: number; stalledShare: number }> {
    return this.#command(`calibrate ${core}`);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }

  async #command<T>(line: string): Promise<T> {
    this.#child.stdin?.write(`${line}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`the load generator ended at "${line}"`);
    return JSON.parse(value as string) as T;
  }
}
