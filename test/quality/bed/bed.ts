import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserDriver, LocalCluster, type NamespaceAccess } from '@orama/testkit';
import type { BrowserName } from './browser-process.ts';
import { forward } from './forward.ts';
import { compileWire, Network } from './network.ts';
import { putFirst } from './priority.ts';
import { launchIn } from './remote-browser.ts';

/** Second octet of the cluster's addresses. */
export const PREFIX = 44;
/** Clients 1 and 2, each behind its own path. */
export const CLIENTS = 2;
const NAMESPACE = 'quality';

/** The whole bed, seen from the servers' namespace: a local cluster, and browsers behind paths of their own. */
export class Bed {
  readonly network: Network;
  readonly cluster: LocalCluster;
  readonly access: NamespaceAccess;
  readonly #directory: string;
  readonly #browsers: BrowserDriver[] = [];
  readonly #doors: Server[];

  private constructor(options: {
    network: Network;
    cluster: LocalCluster;
    access: NamespaceAccess;
    doors: Server[];
    directory: string;
  }) {
    this.network = options.network;
    this.cluster = options.cluster;
    this.access = options.access;
    this.#doors = options.doors;
    this.#directory = options.directory;
  }

  /** Starts the cluster and the wires. @param name of the bed's namespaces */
  static async start(name: string): Promise<Bed> {
    const network = Network.attach({ name, clients: CLIENTS, prefix: PREFIX });
    const directory = mkdtempSync(join(tmpdir(), 'orama-quality-'));
    network.startWires(compileWire(directory));
    const cluster = await LocalCluster.start({ prefix: PREFIX });
    const access = await cluster.createEnabled(NAMESPACE);
    for (const [i] of cluster.state.nodes.entries()) for (const { pid } of cluster.services(i + 1)) putFirst(pid);
    const port = Number(new URL(cluster.node(1).gateway).port);
    const clients = Array.from({ length: CLIENTS }, (_, i) => i + 1);
    const doors = await Promise.all(clients.map((client) => forward(network.serverAddress(client), port)));
    return new Bed({ network, cluster, access, doors, directory });
  }

  /** Starts a browser behind the path of a client. */
  async browser(client: number, browser: BrowserName): Promise<BrowserDriver> {
    const hosts = { [new URL(this.access.origin(1)).hostname]: this.network.serverAddress(client) };
    const driver = await launchIn(this.network.clientNamespace(client), browser, { hosts });
    this.#browsers.push({ ...driver, version: `${browser} ${driver.version}` });
    return driver;
  }

  /** The browsers that were started, for reports. */
  get versions(): string {
    return [...new Set(this.#browsers.map(({ version }) => version))].join(', ');
  }

  async stop(): Promise<void> {
    await Promise.all(this.#browsers.map((browser) => browser.close()));
    for (const door of this.#doors) door.close();
    await this.cluster.stop();
    await this.network.stopWires();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
