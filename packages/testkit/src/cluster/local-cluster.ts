import { once } from 'node:events';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlplaneClient } from '@orama/controlplane/client';
import { readSecretFile, type SocketInfo, socketsOf } from '@orama/core';
import type { WebrtcStatus } from '@orama/protocol';
import { isAlive, killNow, processesMentioning } from '../system/processes.ts';
import { waitFor, waitUntil } from '../wait.ts';
import { CliProcess, type CliResult } from './cli.ts';
import { portBlocksOf } from './database.ts';
import { callGateway, type GatewayAnswer, type GatewayCall } from './gateway-call.ts';
import { type ServiceProcess, serviceProcesses, UNITS } from './run-files.ts';
import { turnTenants } from './turn-control.ts';

export interface ClusterOptions {
  /** Second octet of the cluster's loopback addresses; the next one that is free when another checkout has it. */
  prefix: number;
  /** Further options of `orama dev start`. */
  startOptions?: readonly string[];
}

/** A node of `dev.json`. */
export interface ClusterNode {
  id: string;
  wireguardIp: string;
  publicIp: string;
  api: string;
  gateway: string;
  dataDir: string;
}

interface DevState {
  baseDomain: string;
  nodes: ClusterNode[];
  supervisor: { pid: number } | null;
  controlplanes: Record<string, { pid: number }>;
  stores: Record<string, { pid: number }>;
}

export interface NamespaceAccess {
  name: string;
  apiKey: string;
  /** Base URL of the namespace at the gateway of a node. */
  origin(node: number): string;
  /** Address of the call page, ready to open. */
  callUrl(options: { room: string; name: string; node?: number }): string;
}

const API_PORT = 6001;
const PREFIX_STEP = 25;

/** The wanted prefix, or one further on when a cluster listens on it already. */
async function freePrefix(wanted: number): Promise<number> {
  for (let prefix = wanted; prefix < 256; prefix += PREFIX_STEP) {
    const probe = createServer().listen(API_PORT, `127.${prefix}.0.1`);
    const free = await once(probe, 'listening').then(
      () => true,
      () => false,
    );
    if (!free) continue;
    probe.close();
    await once(probe, 'close');
    return prefix;
  }
  throw new Error(`no loopback prefix is free from 127.${wanted} on in steps of ${PREFIX_STEP}`);
}

/** Clusters that were not stopped yet: when the test process ends, nothing of theirs may live on. */
const running = new Set<LocalCluster>();
process.once('exit', () => {
  for (const cluster of running) cluster.killProcesses();
});

/** A three-node cluster that was started by the command line, with a data directory of its own. */
export class LocalCluster {
  readonly dataDir: string;
  readonly prefix: string;
  readonly #startArgs: string[];

  private constructor(options: ClusterOptions) {
    this.dataDir = mkdtempSync(join(tmpdir(), `orama-e2e-${options.prefix}-`));
    this.prefix = `127.${options.prefix}`;
    const httpPort = 6080 + options.prefix * 10;
    this.#startArgs = ['dev', 'start', '--detach', '--loopback-prefix', this.prefix, '--http-port', String(httpPort)];
    this.#startArgs.push(...(options.startOptions ?? []));
  }

  /** Starts a cluster and waits until the command says that it is ready. */
  static async start(options: ClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster({ ...options, prefix: await freePrefix(options.prefix) });
    running.add(cluster);
    await cluster.startAgain();
    return cluster;
  }

  /** `orama dev start` on the same data. */
  async startAgain(): Promise<void> {
    await this.orama(...this.#startArgs);
  }

  get state(): DevState {
    return JSON.parse(readFileSync(join(this.dataDir, 'dev.json'), 'utf8')) as DevState;
  }

  /** The controlplanes' API, for what is no business of the command line. */
  get client(): ControlplaneClient {
    return new ControlplaneClient({
      endpoints: this.state.nodes.map(({ api }) => api),
      clusterKey: readSecretFile(join(this.dataDir, 'cluster.key')),
    });
  }

  /** The zone file of the node that looks after the records. Rejects while none does. */
  async zone(): Promise<string> {
    const holder = (await this.client.leases()).find(({ name }) => name === 'dns')?.holder;
    return readFileSync(join(this.dataDir, 'nodes', holder ?? 'none', 'dns', 'zone'), 'utf8');
  }

  get databaseFile(): string {
    return join(this.dataDir, 'store.sqlite');
  }

  node(number: number): ClusterNode {
    const node = this.state.nodes[number - 1];
    if (!node) throw new Error(`the cluster has no node ${number}`);
    return node;
  }

  /** Starts a command without waiting for it. */
  spawn(...args: string[]): CliProcess {
    return new CliProcess(['--data-dir', this.dataDir, ...args]);
  }

  /** Runs a command to its end, whatever comes out. */
  run(...args: string[]): Promise<CliResult> {
    return this.spawn(...args).finished;
  }

  /** Runs a command that must succeed; its output. */
  async orama(...args: string[]): Promise<CliResult> {
    const result = await this.run(...args);
    if (result.code !== 0) throw new Error(`orama ${args.join(' ')} ended with ${result.code}:\n${result.output}`);
    return result;
  }

  /** Runs a command with `--json` that must succeed; its value. */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse((await this.orama(...args, '--json')).stdout) as T;
  }

  async createNamespace(name: string): Promise<NamespaceAccess> {
    const { apiKey } = await this.json<{ apiKey: string }>('namespace', 'create', name);
    const origin = (node: number) => {
      const { port } = new URL(this.node(node).gateway);
      return `http://ns-${name}.${this.state.baseDomain}:${port}`;
    };
    return {
      name,
      apiKey,
      origin,
      callUrl: ({ room, name: user, node = 1 }) => {
        const query = new URLSearchParams({ room, name: user, api_key: apiKey });
        return `${origin(node)}/call/#${query}`;
      },
    };
  }

  /** Creates a namespace and turns WebRTC on for it. */
  async createEnabled(name: string, ...options: string[]): Promise<NamespaceAccess> {
    const access = await this.createNamespace(name);
    await this.orama('namespace', 'enable', 'webrtc', '--namespace', name, ...options);
    return access;
  }

  /** A REST call to the namespace with its owner's key. */
  gateway(access: NamespaceAccess, method: string, path: string, call?: GatewayCall): Promise<GatewayAnswer> {
    return callGateway(access, method, path, call);
  }

  /** What a namespace has, as `orama namespace webrtc-status --json` prints it. A controlplane that has just started is asked again. */
  status(namespace: string): Promise<WebrtcStatus> {
    return waitFor(`the status of ${namespace}`, () => this.client.webrtcStatus(namespace), { timeoutMs: 5_000 });
  }

  /** Waits until the namespace is enabled and all its services are observed healthy. */
  async waitHealthy(namespace: string, timeoutMs = 20_000): Promise<WebrtcStatus> {
    const accept = (status: WebrtcStatus) => status.state === 'enabled' && status.healthy;
    return await waitUntil(`${namespace} to be healthy`, () => this.status(namespace), accept, { timeoutMs });
  }

  services(node: number): ServiceProcess[] {
    return serviceProcesses(this.node(node).dataDir);
  }

  /** Pid of a unit of a node (see `UNITS`). */
  pidOf(node: number, unit: string): number {
    const found = this.services(node).filter((service) => service.unit === unit);
    if (found[0]) return found[0].pid;
    const all = this.services(node).map((service) => service.unit);
    throw new Error(`node ${node} does not run ${unit}; it runs ${all.join(', ')}`);
  }

  /** `kill -9` of a service; resolves with the pid that died. */
  async killService(node: number, unit: string): Promise<number> {
    const pid = this.pidOf(node, unit);
    await killNow(pid);
    return pid;
  }

  /** Number of a node by its id. */
  numberOf(nodeId: string): number {
    const index = this.state.nodes.findIndex((node) => node.id === nodeId);
    if (index < 0) throw new Error(`the cluster has no node ${nodeId}`);
    return index + 1;
  }

  /** Whether the namespace's SFU of a node answers as healthy, asked on its own port. */
  async sfuHealthy(node: number, namespace: string): Promise<boolean> {
    const block = portBlocksOf(this.databaseFile, namespace).find(
      ({ nodeId, service }) => service === 'sfu' && nodeId === this.node(node).id,
    );
    const response = await fetch(`http://${block?.address}:${block?.signallingPort}/readyz`);
    return response.ok;
  }

  /** Whether the TURN server of a node has the namespace attached, asked on its control socket. */
  async turnServes(node: number, namespace: string): Promise<boolean> {
    const { dataDir } = this.node(node);
    const tenants = await Promise.all(
      globSync('**/*.sock', { cwd: dataDir }).map((path) => turnTenants(join(dataDir, path))),
    );
    return tenants.flat().some((tenant) => tenant.namespace === namespace);
  }

  /** What a signalling client needs to know of a namespace. */
  signalling(access: NamespaceAccess, node = 1): { gateway: string; host: string; apiKey: string } {
    return { gateway: this.node(node).gateway, host: new URL(access.origin(node)).host, apiKey: access.apiKey };
  }

  /** Sockets of all SFU processes of a namespace. */
  socketsOfSfu(namespace: string): SocketInfo[] {
    return this.state.nodes.flatMap((node) =>
      serviceProcesses(node.dataDir)
        .filter(({ unit }) => unit === UNITS.sfu(namespace))
        .flatMap(({ pid }) => socketsOf(pid)),
    );
  }

  controlplanePid(node: number): number {
    const pid = this.state.controlplanes[this.node(node).id]?.pid;
    if (pid === undefined) throw new Error(`node ${node} has no controlplane`);
    return pid;
  }

  /** The rqlited of a node, in a cluster with that store. */
  storePid(node: number): number {
    const pid = this.state.stores[this.node(node).id]?.pid;
    if (pid === undefined) throw new Error(`node ${node} has no rqlited`);
    return pid;
  }

  /** Waits until a service of a node runs as another process than `formerPid`. */
  async waitRestarted(node: number, unit: string, formerPid: number, timeoutMs: number): Promise<number> {
    const look = () => {
      const pid = this.pidOf(node, unit);
      return pid === formerPid ? undefined : pid;
    };
    return await waitFor(`${unit} of node ${node} to run again`, look, { timeoutMs, intervalMs: 20 });
  }

  /** Every process that works on this cluster's data, supervisor and controlplanes included. */
  processes(): { pid: number; args: string[] }[] {
    return processesMentioning(this.dataDir);
  }

  /** `kill -9` of every process there is now; their pids. */
  killProcesses(): number[] {
    const pids = this.processes().map(({ pid }) => pid);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    return pids;
  }

  /** `kill -9` of everything at once, like a power cut. */
  async killEverything(): Promise<void> {
    const pids = this.killProcesses();
    await waitUntil(
      'every process of the cluster to be gone',
      () => pids.filter(isAlive),
      (alive) => alive.length === 0,
    );
  }

  /** Stops the cluster by the command line, checks that no process is left, and removes its data. */
  async stop(): Promise<void> {
    await this.orama('dev', 'stop');
    await waitUntil(
      'no process to be left after "orama dev stop"',
      () => this.processes(),
      (left) => left.length === 0,
    );
    rmSync(this.dataDir, { recursive: true, force: true });
    running.delete(this);
  }
}
