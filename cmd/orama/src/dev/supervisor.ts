import { stopAllServices } from '@orama/controlplane';
import { OramaError, silentLogger, writeFileAtomic } from '@orama/core';
import { connectTo } from '../cluster.ts';
import { identify, isRunning, terminate } from '../process-identity.ts';
import { devStateFile, readDevState } from '../settings.ts';
import { ControlplaneProcess } from './controlplane-process.ts';
import { writeClusterFiles } from './files.ts';
import { clusterKeyFile, DEV_BASE_DOMAIN, planNodes } from './layout.ts';
import { DevLock } from './lock.ts';
import { checkAddresses, wantedAddresses } from './preflight.ts';
import { findPrograms } from './programs.ts';
import { waitForCluster, waitForNamespaces } from './readiness.ts';
import { hasServices } from './services.ts';
import type { DevNode, DevSettings, DevState } from './state.ts';

const CONTROLPLANE_STOP_MS = 10_000;
const SERVICE_STOP_MS = 10_000;
/** A controlplane that ended so often in a row before the cluster was ready will not do better. */
const HOPELESS_FAILURES = 5;

interface SupervisorOptions {
  dataDir: string;
  settings: DevSettings;
  onProgress: (text: string) => void;
}

/** Runs a local cluster: one controlplane a node, started again whenever it ends. Services belong to the controlplanes. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #nodes: DevNode[];
  readonly #processes = new Map<string, ControlplaneProcess>();
  #lock: DevLock | undefined;
  #state: DevState | undefined;
  #saved: Promise<void> = Promise.resolve();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#nodes = planNodes(options.dataDir, options.settings);
  }

  /**
   * Starts the cluster and resolves when every node and every namespace that was enabled before is up.
   * Whatever happens, `stop` must be called afterwards. Throws `CONFLICT` when the data directory or an address is taken,
   * `TIMEOUT` when a node does not come up.
   */
  async start(signal: AbortSignal): Promise<DevState> {
    const { dataDir, settings, onProgress } = this.#options;
    const programs = findPrograms();
    this.#lock = DevLock.acquire(dataDir);
    const earlier = readDevState(dataDir);
    // A supervisor that was killed leaves controlplanes behind; services that run are adopted by the new ones.
    if (earlier) await terminate(Object.values(earlier.controlplanes).filter(isRunning), CONTROLPLANE_STOP_MS);
    onProgress('checking addresses');
    const servicesRun = await Promise.all(this.#nodes.map((node) => hasServices(node.dataDir)));
    await checkAddresses(this.#nodes.flatMap((node, index) => wantedAddresses(node, servicesRun[index] ?? false)));
    await writeClusterFiles({ dataDir, nodes: this.#nodes, settings, programs });
    this.#state = {
      version: 1,
      state: 'starting',
      settings,
      baseDomain: DEV_BASE_DOMAIN,
      clusterKeyFile: clusterKeyFile(dataDir),
      nodes: this.#nodes,
      supervisor: identify(process.pid),
      controlplanes: {},
      startedAt: new Date().toISOString(),
    };
    await this.#save();
    for (const node of this.#nodes) this.#startNode(node, programs.controlplane);
    const client = connectTo({
      endpoints: this.#nodes.map((node) => node.api),
      clusterKeyFile: clusterKeyFile(dataDir),
    });
    const throwIfHopeless = () => this.#throwIfHopeless();
    await waitForCluster({ client, nodes: this.#nodes, signal, onProgress, throwIfHopeless });
    await waitForNamespaces({ client, signal, onProgress });
    this.#state.state = 'ready';
    await this.#save();
    return this.#state;
  }

  /** Ends the controlplanes, then every service they left, and gives the data directory back. */
  async stop(): Promise<void> {
    if (!this.#lock) return;
    const { onProgress } = this.#options;
    if (this.#state) {
      this.#state.state = 'stopping';
      await this.#save();
      onProgress('stopping the controlplanes');
      await Promise.all([...this.#processes.values()].map((process) => process.stop(CONTROLPLANE_STOP_MS)));
      onProgress('stopping the services');
      await Promise.all(this.#nodes.map((node) => stopAllServices(node.dataDir, SERVICE_STOP_MS, silentLogger)));
      Object.assign(this.#state, { state: 'stopped', supervisor: null, controlplanes: {} } satisfies Partial<DevState>);
      await this.#save();
    }
    this.#lock.release();
    this.#lock = undefined;
  }

  #startNode(node: DevNode, command: readonly string[]): void {
    const process = new ControlplaneProcess(node, command, {
      started: (_, identity) => {
        if (!this.#state) return;
        this.#state.controlplanes[node.id] = identity;
        void this.#save();
      },
      died: (_, how) => this.#options.onProgress(`the controlplane of ${node.id} ended (${how}), starting it again`),
    });
    this.#processes.set(node.id, process);
    process.start();
  }

  #throwIfHopeless(): void {
    for (const node of this.#nodes) {
      const process = this.#processes.get(node.id);
      if (!process || process.failures < HOPELESS_FAILURES) continue;
      throw new OramaError(
        'INTERNAL',
        `the controlplane of ${node.id} ends as soon as it is started (${process.lastEnd})`,
        {
          hint: `read ${node.logFile}`,
        },
      );
    }
  }

  // Writes follow each other, so that the file always ends as the newest state.
  #save(): Promise<void> {
    const text = `${JSON.stringify(this.#state, null, 2)}\n`;
    this.#saved = this.#saved.then(() => writeFileAtomic(devStateFile(this.#options.dataDir), text));
    return this.#saved;
  }
}
