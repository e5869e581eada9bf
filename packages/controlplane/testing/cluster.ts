import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { silentLogger } from '@orama/core/logger';
import type { ControlplaneConfigInput } from '@orama/protocol';
import { createStore, openStore, type Store } from '@orama/store';
import { waitFor, waitUntil } from '@orama/testkit';
import { ControlplaneClient } from '../src/client/controlplane-client.ts';
import { stopAllServices } from '../src/services/index.ts';

const HERE = import.meta.dirname;
const MAIN = resolve(HERE, '../../../cmd/controlplane/src/main.ts');
const NODE = [process.execPath, '--conditions=source', '--disable-warning=ExperimentalWarning'];

// Services get nothing of our environment, which says where compiled sources are kept.
const SERVICE = ['/usr/bin/env', `NODE_COMPILE_CACHE=${process.env.NODE_COMPILE_CACHE ?? ''}`, ...NODE];

/** Programs that stand in for gateway, TURN server and SFU; tests may put others in their place. */
export const STAND_INS = {
  gateway: [...SERVICE, join(HERE, 'stand-in-gateway.ts')],
  turn: [...SERVICE, join(HERE, 'stand-in-turn.ts')],
  sfu: [...SERVICE, join(HERE, 'stand-in-sfu.ts')],
};

export interface TestNode {
  id: string;
  config: ControlplaneConfigInput;
  configFile: string;
  dataDir: string;
  zoneFile: string;
  process: ChildProcess | null;
}

/** Real controlplane processes on loopback, with a real store and stand-ins for the services. */
export class TestCluster {
  readonly dir = mkdtempSync(join(tmpdir(), 'orama-cp-'));
  readonly clusterKey = randomBytes(32).toString('hex');
  readonly failpointDir = join(this.dir, 'failpoints');
  readonly nodes: TestNode[];
  readonly client: ControlplaneClient;
  #store: Store | null = null;

  /** @param net second and third octet of the cluster's addresses, such as `83.10`: nodes are `127.83.10.N` */
  constructor(net: string, overrides: Partial<ControlplaneConfigInput> = {}, count = 3) {
    mkdirSync(this.failpointDir);
    writeFileSync(join(this.dir, 'cluster.key'), this.clusterKey, { mode: 0o600 });
    this.nodes = Array.from({ length: count }, (_, index) => this.#node(net, index + 1, overrides));
    this.client = new ControlplaneClient({
      endpoints: this.nodes.map(({ config }) => `http://${config.wireguardIp}:6001`),
      clusterKey: this.clusterKey,
      timeoutMs: 10_000,
    });
  }

  node(number: number): TestNode {
    return this.nodes[number - 1] as TestNode;
  }

  /** Starts every controlplane that does not run. */
  startProcesses(): void {
    for (const node of this.nodes) if (!node.process) this.startNode(node);
  }

  startNode(node: TestNode): void {
    const log = openSync(join(this.dir, `${node.id}.log`), 'a');
    const [program = '', ...args] = NODE;
    const child = spawn(program, [...args, MAIN, '--config', node.configFile], { stdio: ['ignore', log, log] });
    node.process = child;
    child.once('exit', () => {
      if (node.process === child) node.process = null;
    });
  }

  /** Starts all nodes and waits until each is alive with its core services healthy. */
  async start(): Promise<void> {
    this.startProcesses();
    await this.waitReady();
  }

  /**
   * A node that has just died is alive for the others: each is asked itself, too.
   * @param restarting starts the controlplanes that do not run, also those whose end is noticed only now
   */
  async waitReady({ restarting = false } = {}): Promise<void> {
    const isReady = async ({ config }: TestNode) => {
      if (restarting) this.startProcesses();
      return (await fetch(`http://${config.wireguardIp}:6001/readyz`)).ok;
    };
    for (const node of this.nodes) await waitFor(`${node.id} to be restored`, () => isReady(node));
    await waitUntil(
      'all nodes with their core services to be ready',
      () => this.client.cluster(),
      ({ nodes }) =>
        nodes.length === this.nodes.length &&
        nodes.every((node) => node.alive && node.core.every((core) => core.healthy)),
    );
  }

  /** Ends a controlplane and waits for it. */
  async kill(node: TestNode, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = node.process;
    if (!child) return;
    child.kill(signal);
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** Starts a node's controlplane again with another configuration. */
  async reconfigure(node: TestNode, changes: Partial<ControlplaneConfigInput>): Promise<void> {
    await this.kill(node);
    node.config = { ...node.config, ...changes };
    writeFileSync(node.configFile, JSON.stringify(node.config));
    this.startNode(node);
  }

  async store(): Promise<Store> {
    this.#store ??= createStore(await openStore({ driver: 'sqlite', file: join(this.dir, 'store.sqlite') }));
    return this.#store;
  }

  /** Enables and waits for the end; throws when it fails. */
  async enable(name: string): Promise<void> {
    await this.client.enableWebrtc(name);
    await this.waitState(name, 'enabled');
  }

  async disable(name: string): Promise<void> {
    await this.client.disableWebrtc(name);
    await this.waitState(name, 'off');
  }

  async waitState(name: string, state: 'enabled' | 'off'): Promise<void> {
    await waitUntil(
      `${name} to be ${state}`,
      () => this.client.webrtcStatus(name),
      (status) => status.state === state && (state === 'off' || status.healthy),
    );
  }

  /** The run file of a unit, or null. */
  runFile(node: TestNode, unit: string): { pid: number } | null {
    try {
      return JSON.parse(readFileSync(join(node.dataDir, 'run', `${unit}.json`), 'utf8')) as { pid: number };
    } catch {
      return null;
    }
  }

  /** Makes the next process that passes the failpoint die. */
  arm(name: string): void {
    writeFileSync(this.#failpointFile(name), '');
  }

  /** Whether a failpoint is still waiting for somebody to pass it. */
  isArmed(name: string): boolean {
    return existsSync(this.#failpointFile(name));
  }

  /** Ends everything and removes the data. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.kill(node, 'SIGTERM')));
    await Promise.all(this.nodes.map((node) => stopAllServices(node.dataDir, 2_000, silentLogger)));
    await this.#store?.db.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #failpointFile(name: string): string {
    return join(this.failpointDir, name.replaceAll(/[^a-z0-9.:-]/gi, '_'));
  }

  #node(net: string, number: number, overrides: Partial<ControlplaneConfigInput>): TestNode {
    const id = `node-${number}`;
    const dataDir = join(this.dir, id);
    const zoneFile = join(dataDir, 'dns', 'zone');
    const config: ControlplaneConfigInput = {
      clusterId: 'test',
      node: id,
      wireguardIp: `127.${net}.${number}`,
      publicIp: `127.${net}.${number + 100}`,
      wireguardNetwork: `127.${net}.0/24`,
      baseDomain: 'orama.localhost',
      dataDir,
      clusterKeyFile: join(this.dir, 'cluster.key'),
      store: { driver: 'sqlite', file: join(this.dir, 'store.sqlite') },
      api: { loopback: false },
      services: { manager: 'processes', programs: STAND_INS },
      gateway: { listen: { address: `127.${net}.${number}`, port: 6080 } },
      turn: { advertise: 'addresses' },
      dns: { writer: 'file', file: zoneFile },
      failpointDir: this.failpointDir,
      ...overrides,
    };
    const configFile = join(this.dir, `${id}.json`);
    writeFileSync(configFile, JSON.stringify(config));
    return { id, config, configFile, dataDir, zoneFile, process: null };
  }
}
