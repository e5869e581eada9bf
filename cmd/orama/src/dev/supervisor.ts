import { stopAllServices } from '@orama/controlplane/services';
import { OramaError, writeFileAtomic } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { connectTo } from '../cluster.ts';
import { identify, isRunning, terminate } from '../process-identity.ts';
import type { ProcessLock } from '../process-lock.ts';
import { devStateFile, readDevState } from '../settings.ts';
import { DevProcess, type DevProgram } from './dev-process.ts';
import { writeClusterFiles } from './files.ts';
import { clusterKeyFile, DEV_BASE_DOMAIN, planNodes } from './layout.ts';
import { lockDataDir } from './lock.ts';
import { checkAddresses, wantedAddresses } from './preflight.ts';
import { findPrograms } from './programs.ts';
import { waitForCluster, waitForNamespaces } from './readiness.ts';
import { findRqlited, refuseOtherStore, rqliteCommand, waitForRqlite } from './rqlite.ts';
import { hasServices } from './services.ts';
import { type DevNode, type DevSettings, type DevState, NODES_MAX } from './state.ts';

const CONTROLPLANE_STOP_MS = 10_000;
const SERVICE_STOP_MS = 10_000;
const RQLITE_STOP_MS = 10_000;
/** A program that ended so often in a row before the cluster was ready will not do better. */
const HOPELESS_FAILURES = 5;

interface SupervisorOptions {
  dataDir: string;
  /** Folders to look for programs in. */
  path: readonly string[];
  settings: DevSettings;
  onProgress: (text: string) => void;
}

/**
 * Runs a local cluster: one controlplane a node and, with that store, one rqlited, each started again whenever it ends.
 * Services belong to the controlplanes.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #nodes: DevNode[];
  readonly #controlplanes: DevProcess[] = [];
  readonly #stores: DevProcess[] = [];
  #lock: ProcessLock | undefined;
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
    const rqlited = settings.store === 'rqlite' ? findRqlited(this.#options.path) : undefined;
    this.#lock = lockDataDir(dataDir);
    const earlier = readDevState(dataDir);
    refuseOtherStore(dataDir, earlier, settings);
    // A supervisor that was killed leaves controlplanes behind; services that run are adopted by the new ones.
    if (earlier) {
      await terminate(Object.values(earlier.controlplanes).filter(isRunning), CONTROLPLANE_STOP_MS);
      await terminate(Object.values(earlier.stores).filter(isRunning), RQLITE_STOP_MS);
    }
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
      stores: {},
      startedAt: new Date().toISOString(),
    };
    await this.#save();
    const throwIfHopeless = () => this.#throwIfHopeless();
    if (rqlited !== undefined) {
      for (const node of this.#nodes) this.#startStore(node, rqlited);
      await waitForRqlite({ dataDir, nodes: this.#nodes, signal, onProgress, throwIfHopeless });
    }
    for (const node of this.#nodes) this.#startControlplane(node, programs.controlplane);
    const client = connectTo({
      endpoints: this.#nodes.map((node) => node.api),
      clusterKeyFile: clusterKeyFile(dataDir),
    });
    await waitForCluster({ client, nodes: this.#nodes, signal, onProgress, throwIfHopeless });
    await waitForNamespaces({ client, signal, onProgress });
    this.#state.state = 'ready';
    await this.#save();
    return this.#state;
  }

  /** Starts one more node, which joins by telling the store of itself. */
  async addNode(): Promise<void> {
    const { dataDir, onProgress } = this.#options;
    const state = this.#state;
    if (state?.state !== 'ready') return;
    const settings = { ...state.settings, nodes: this.#nodes.length + 1 };
    const node = planNodes(dataDir, settings).at(-1);
    if (!node || settings.nodes > NODES_MAX) return;
    this.#nodes.push(node);
    const programs = findPrograms();
    await writeClusterFiles({ dataDir, nodes: this.#nodes, settings, programs });
    onProgress(`starting ${node.id}`);
    this.#startControlplane(node, programs.controlplane);
    Object.assign(state, { settings, nodes: this.#nodes } satisfies Partial<DevState>);
    await this.#save();
  }

  /** Ends the controlplanes, then every service they left, and gives the data directory back. */
  async stop(): Promise<void> {
    if (!this.#lock) return;
    const { onProgress } = this.#options;
    if (this.#state) {
      this.#state.state = 'stopping';
      await this.#save();
      onProgress('stopping the controlplanes');
      await Promise.all(this.#controlplanes.map((process) => process.stop(CONTROLPLANE_STOP_MS)));
      onProgress('stopping the services');
      await Promise.all(this.#nodes.map((node) => stopAllServices(node.dataDir, SERVICE_STOP_MS, silentLogger)));
      if (this.#stores.length > 0) onProgress('stopping the store');
      await Promise.all(this.#stores.map((process) => process.stop(RQLITE_STOP_MS)));
      const ended: Partial<DevState> = { state: 'stopped', supervisor: null, controlplanes: {}, stores: {} };
      Object.assign(this.#state, ended);
      await this.#save();
    }
    this.#lock.release();
    this.#lock = undefined;
  }

  #startControlplane(node: DevNode, command: readonly string[]): void {
    const program = {
      name: `the controlplane of ${node.id}`,
      command: [...command, '--config', node.configFile],
      folder: node.dataDir,
      logFile: node.logFile,
    };
    this.#controlplanes.push(this.#run(program, 'controlplanes', node));
  }

  #startStore(node: DevNode, rqlited: string): void {
    const program = {
      name: `the rqlited of ${node.id}`,
      command: rqliteCommand(rqlited, this.#options.dataDir, node, this.#nodes),
      folder: node.dataDir,
      logFile: node.rqlite?.logFile ?? node.logFile,
    };
    this.#stores.push(this.#run(program, 'stores', node));
  }

  #run(program: DevProgram, kind: 'controlplanes' | 'stores', node: DevNode): DevProcess {
    const process = new DevProcess(program, {
      started: (identity) => {
        if (!this.#state) return;
        this.#state[kind][node.id] = identity;
        void this.#save();
      },
      died: (how) => this.#options.onProgress(`${program.name} ended (${how}), starting it again`),
    });
    process.start();
    return process;
  }

  #throwIfHopeless(): void {
    for (const { program, failures, lastEnd } of [...this.#stores, ...this.#controlplanes]) {
      if (failures < HOPELESS_FAILURES) continue;
      throw new OramaError('INTERNAL', `${program.name} ends as soon as it is started (${lastEnd})`, {
        hint: `read ${program.logFile}`,
      });
    }
  }

  // Writes follow each other, so that the file always ends as the newest state.
  #save(): Promise<void> {
    const text = `${JSON.stringify(this.#state, null, 2)}\n`;
    this.#saved = this.#saved.then(() => writeFileAtomic(devStateFile(this.#options.dataDir), text));
    return this.#saved;
  }
}
