import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { waitFor, waitUntil } from '../wait.ts';

const PROGRAM = resolve(import.meta.dirname, '../../../../.orama/rqlited/rqlited');
const HTTP_PORT = 4001;
const RAFT_PORT = 4002;
const PREFIX_STEP = 10;

/** The rqlited that is built for the tests. Throws where it is not: a test that wants it fails. */
export function rqlitedProgram(): string {
  if (existsSync(PROGRAM)) return PROGRAM;
  throw new Error('rqlited is not built; "sh deploy/dev/rqlited.sh" builds it once (Go and gcc are needed)');
}

export interface RqliteNodesOptions {
  /** First three octets of the addresses, from `freePrefix`; the nodes take .1, .2 and so on. */
  prefix: string;
  count?: number;
  /** Who may do everything, `user:password`; without it everybody may. */
  credentials?: string;
  /** PEM, for HTTPS. */
  tls?: { cert: string; key: string; ca: string };
  /** Whether foreign keys are enforced, by node; all unless given. */
  foreignKeys?: boolean[];
}

/** A cluster of real rqlited processes on loopback addresses, to be killed, stopped for a while and started again. */
export class RqliteNodes {
  readonly #options: RqliteNodesOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'orama-rqlite-'));
  readonly #processes: (ChildProcess | undefined)[];

  private constructor(options: RqliteNodesOptions) {
    this.#options = options;
    this.#processes = Array.from({ length: options.count ?? 3 });
  }

  /** The wanted prefix, or one further on where a cluster of another run has it. */
  static async freePrefix(wanted: `127.${number}.${number}`): Promise<string> {
    const [, second, third] = wanted.split('.').map(Number) as [number, number, number];
    for (let octet = third; octet < 256; octet += PREFIX_STEP) {
      const prefix = `127.${second}.${octet}`;
      const probe = createServer().listen(HTTP_PORT, `${prefix}.1`);
      const free = await once(probe, 'listening').then(
        () => true,
        () => false,
      );
      if (!free) continue;
      probe.close();
      await once(probe, 'close');
      return prefix;
    }
    throw new Error(`no loopback prefix is free from ${wanted} on in steps of ${PREFIX_STEP}`);
  }

  /** Starts a new, empty cluster and waits until every node knows the leader. */
  static async start(options: RqliteNodesOptions): Promise<RqliteNodes> {
    const nodes = new RqliteNodes(options);
    nodes.#writeFiles();
    for (const index of nodes.#processes.keys()) nodes.start(index);
    try {
      await nodes.ready();
    } catch (thrown) {
      const logs = nodes.#processes.map((_, index) => readFileSync(nodes.#file(index, 'log'), 'utf8').slice(-2_000));
      await nodes.close();
      throw new Error(`rqlited did not come up:\n${logs.join('\n')}`, { cause: thrown });
    }
    return nodes;
  }

  /** Base URL of each node. */
  get addresses(): [string, ...string[]] {
    const scheme = this.#options.tls ? 'https' : 'http';
    return this.#processes.map((_, index) => `${scheme}://${this.#ip(index)}:${HTTP_PORT}`) as [string, ...string[]];
  }

  /** Index of the leader, or undefined when those that answer know none. */
  async leader(): Promise<number | undefined> {
    for (const address of this.addresses) {
      const nodes = await this.#get(`${address}/nodes`).catch(() => null);
      if (nodes?.status !== 200) continue;
      const list = JSON.parse(nodes.body) as Record<string, { leader: boolean; reachable: boolean; api_addr: string }>;
      const leader = Object.values(list).find((node) => node.leader && node.reachable);
      if (leader) return this.addresses.indexOf(leader.api_addr);
    }
    return undefined;
  }

  /** Waits until these nodes, all unless named, are ready to serve, with all that the leader has. */
  async ready(...indexes: number[]): Promise<void> {
    for (const index of indexes.length > 0 ? indexes : this.#processes.keys()) {
      await waitUntil(
        `rqlited ${index} to be ready`,
        () => this.#get(`${this.addresses[index]}/readyz?sync&timeout=1s`),
        ({ status }) => status === 200,
      );
    }
  }

  /** Starts a node, on what it has on disk. */
  start(index: number): void {
    const { tls, credentials, foreignKeys } = this.#options;
    const raft = this.#processes.map((_, each) => `${this.#ip(each)}:${RAFT_PORT}`);
    const args = [
      ...(foreignKeys?.[index] === false ? [] : ['-fk']),
      ...['-node-id', `node-${index}`],
      ...['-http-addr', `${this.#ip(index)}:${HTTP_PORT}`],
      ...['-raft-addr', raft[index] as string],
      ...['-bootstrap-expect', String(raft.length), '-join', raft.join(',')],
      ...(tls ? ['-http-cert', join(this.#folder, 'cert.pem'), '-http-key', join(this.#folder, 'key.pem')] : []),
      ...(tls ? ['-http-ca-cert', join(this.#folder, 'ca.pem')] : []),
      ...(credentials === undefined ? [] : ['-auth', join(this.#folder, 'auth.json'), '-join-as', nameOf(credentials)]),
      this.#file(index, 'data'),
    ];
    const log = openSync(this.#file(index, 'log'), 'a');
    this.#processes[index] = spawn(rqlitedProgram(), args, { stdio: ['ignore', log, log] });
    closeSync(log);
  }

  /** `kill -9`. */
  kill(index: number): Promise<void> {
    return this.#end(index, 'SIGKILL');
  }

  /** Asks the node to end, and waits until it has. */
  stop(index: number): Promise<void> {
    return this.#end(index, 'SIGTERM');
  }

  /** SIGSTOP: the node keeps its connections and answers nothing. */
  pause(index: number): void {
    this.#processes[index]?.kill('SIGSTOP');
  }

  resume(index: number): void {
    this.#processes[index]?.kill('SIGCONT');
  }

  /** Waits for a leader among the nodes that run, other than `former` where it is named. */
  newLeader(former?: number): Promise<number> {
    return waitUntil(
      'a new leader',
      async () => (await this.leader()) as number,
      (leader) => leader !== undefined && leader !== former,
    );
  }

  /** Kills what runs and removes its data. */
  async close(): Promise<void> {
    await Promise.all(this.#processes.map((_, index) => this.kill(index)));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(index: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#processes[index];
    this.#processes[index] = undefined;
    if (!child) return;
    child.kill(signal);
    await waitFor(`rqlited ${index} to end`, () => child.exitCode !== null || child.signalCode !== null, {
      intervalMs: 5,
    });
  }

  #ip(index: number): string {
    return `${this.#options.prefix}.${index + 1}`;
  }

  #file(index: number, name: string): string {
    return join(this.#folder, `${name}-${index}`);
  }

  #writeFiles(): void {
    const { tls, credentials } = this.#options;
    mkdirSync(this.#folder, { recursive: true });
    for (const [name, text] of Object.entries(tls ?? {})) writeFileSync(join(this.#folder, `${name}.pem`), text);
    if (credentials === undefined) return;
    const password = credentials.slice(credentials.indexOf(':') + 1);
    const auth = [{ username: nameOf(credentials), password, perms: ['all'] }];
    writeFileSync(join(this.#folder, 'auth.json'), JSON.stringify(auth), { mode: 0o600 });
  }

  #get(url: string): Promise<{ status: number; body: string }> {
    const { tls, credentials } = this.#options;
    const { promise, resolve: done, reject } = Promise.withResolvers<{ status: number; body: string }>();
    const options = { agent: false, timeout: 1_000, ...(credentials === undefined ? {} : { auth: credentials }) };
    const call = tls ? requestHttps(url, { ...options, ca: tls.ca }) : requestHttp(url, options);
    call
      .on('timeout', () => call.destroy(new Error('no answer')))
      .on('error', reject)
      .on('response', (response) => {
        let body = '';
        response
          .setEncoding('utf8')
          .on('data', (text: string) => {
            body += text;
          })
          .on('end', () => done({ status: response.statusCode ?? 0, body }))
          .on('error', reject);
      })
      .end();
    return promise;
  }
}

function nameOf(credentials: string): string {
  return credentials.slice(0, credentials.indexOf(':'));
}
