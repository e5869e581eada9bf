import { stopAllServices } from '@orama/controlplane/services';
import { writeFileAtomic } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { isRunning, terminate } from '../process-identity.ts';
import { devStateFile, readDevState } from '../settings.ts';
import { lockDataDir, lockHolder } from './lock.ts';
import { hasServices } from './services.ts';
import type { DevState } from './state.ts';

/** Longer than a supervisor needs in the worst case: its controlplanes and its services each have a deadline. */
const SUPERVISOR_STOP_MS = 45_000;
const CONTROLPLANE_STOP_MS = 10_000;
const SERVICE_STOP_MS = 10_000;
const RQLITE_STOP_MS = 10_000;

/** Stops the local cluster of a data directory and whatever a killed supervisor left of it. False when nothing ran. */
export async function stopCluster(dataDir: string, onProgress: (text: string) => void): Promise<boolean> {
  const supervisor = lockHolder(dataDir);
  if (supervisor) {
    onProgress('stopping the cluster');
    await terminate([supervisor], SUPERVISOR_STOP_MS);
  }
  const state = readDevState(dataDir);
  if (!state) return supervisor !== undefined;
  const lock = lockDataDir(dataDir);
  try {
    const left = await stopLeftovers(dataDir, state, onProgress);
    return left || supervisor !== undefined;
  } finally {
    lock.release();
  }
}

async function stopLeftovers(dataDir: string, state: DevState, onProgress: (text: string) => void): Promise<boolean> {
  const controlplanes = Object.values(state.controlplanes).filter(isRunning);
  const stores = Object.values(state.stores).filter(isRunning);
  const withServices = await Promise.all(state.nodes.map((node) => hasServices(node.dataDir)));
  const nodes = state.nodes.filter((_, index) => withServices[index]);
  const left = controlplanes.length + stores.length + nodes.length > 0;
  if (left) {
    onProgress('stopping what was left running');
    await terminate(controlplanes, CONTROLPLANE_STOP_MS);
    await Promise.all(nodes.map((node) => stopAllServices(node.dataDir, SERVICE_STOP_MS, silentLogger)));
    await terminate(stores, RQLITE_STOP_MS);
  }
  if (state.state !== 'stopped') {
    const stopped: DevState = { ...state, state: 'stopped', supervisor: null, controlplanes: {}, stores: {} };
    await writeFileAtomic(devStateFile(dataDir), `${JSON.stringify(stopped, null, 2)}\n`);
  }
  return left;
}
