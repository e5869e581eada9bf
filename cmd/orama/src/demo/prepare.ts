import { existsSync } from 'node:fs';
import type { ControlplaneClient } from '@orama/controlplane/client';
import { readSecretFile, toOramaError, UserError, writeFileAtomic } from '@orama/core';
import type { WebrtcStatus } from '@orama/protocol';
import { connectTo } from '../cluster.ts';
import type { Context } from '../context.ts';
import { startDetached } from '../dev/detach.ts';
import { apiKeyFile, DEFAULT_DEV_SETTINGS, namespaceUrl } from '../dev/layout.ts';
import { lockHolder } from '../dev/lock.ts';
import type { DevState } from '../dev/state.ts';
import type { Progress } from '../output/progress.ts';
import { readDevState } from '../settings.ts';
import { pause } from '../wait.ts';
import { watchOperation } from '../watch-operation.ts';

const ENABLE_TIMEOUT_SEC = 60;
const POLL_MS = 200;

/** A namespace that is ready for a call. */
export interface Demo {
  namespace: string;
  /** Call page with key and room; the key is in the fragment, which is never sent to a server. */
  url: string;
  gateway: string;
  apiKeyFile: string;
  status: WebrtcStatus;
}

interface DemoCluster {
  state: DevState;
  release(): Promise<void>;
}

/**
 * Makes sure that a local cluster runs, that the namespace exists and that WebRTC is on for it.
 * @param onStart called once a cluster was started for this; not when one ran already
 */
export async function prepareDemo(
  context: Context,
  options: { namespace: string; room: string; loopbackPrefix?: string; httpPort?: number },
  signal: AbortSignal,
  onStart: () => void,
): Promise<Demo & { release(): Promise<void> }> {
  const { namespace, room } = options;
  const { dataDir } = context.settings;
  const progress = await context.output.progress('starting the cluster');
  try {
    const { state, release } = await joinOrStart(dataDir, options, signal, progress, onStart);
    const endpoints = state.nodes.map((node) => node.api);
    const client = connectTo({ endpoints, clusterKeyFile: state.clusterKeyFile });
    const keyFile = await ensureNamespace(client, dataDir, namespace);
    progress.step(`namespace ${namespace}`);
    progress.update(`enabling WebRTC for namespace ${namespace}`);
    const { operation } = await client.enableWebrtc(namespace, {
      sfuNodeCount: Math.min(3, state.nodes.length),
      turnNodeCount: Math.min(2, state.nodes.length),
    });
    if (operation) await watchOperation({ client, operation, timeoutSec: ENABLE_TIMEOUT_SEC, progress, signal });
    const status = await client.webrtcStatus(namespace);
    progress.succeed(`WebRTC is enabled for namespace ${namespace}`);
    const gateway = namespaceUrl(state.settings, namespace);
    const fragment = new URLSearchParams({ api_key: readSecretFile(keyFile), room });
    return { namespace, url: `${gateway}/call/#${fragment}`, gateway, apiKeyFile: keyFile, status, release };
  } catch (thrown) {
    progress.stop();
    throw thrown;
  }
}

async function joinOrStart(
  dataDir: string,
  options: { loopbackPrefix?: string; httpPort?: number },
  signal: AbortSignal,
  progress: Progress,
  onStart: () => void,
): Promise<DemoCluster> {
  const running = await waitForRunning(dataDir, signal, progress);
  if (running) {
    progress.step(`joined the cluster that runs on ${dataDir}`);
    return { state: running, release: async () => {} };
  }
  const earlier = readDevState(dataDir)?.settings ?? DEFAULT_DEV_SETTINGS;
  const settings = {
    ...earlier,
    loopbackPrefix: options.loopbackPrefix ?? earlier.loopbackPrefix,
    httpPort: options.httpPort ?? earlier.httpPort,
  };
  const cluster = await startDetached({ dataDir, settings, signal, onProgress: (text) => progress.update(text) });
  onStart();
  progress.step(`cluster of ${cluster.state.nodes.length} nodes, data in ${dataDir}`);
  return cluster;
}

/** The cluster that runs there already, once it is ready; undefined when none does. */
async function waitForRunning(dataDir: string, signal: AbortSignal, progress: Progress): Promise<DevState | undefined> {
  while (lockHolder(dataDir)) {
    const state = readDevState(dataDir);
    if (state?.state === 'ready') return state;
    progress.update(`the cluster on ${dataDir} is ${state?.state ?? 'starting'}, waiting`);
    await pause(POLL_MS, signal);
  }
  return undefined;
}

/** Creates the namespace unless it exists; the file with its owner API key. */
async function ensureNamespace(client: ControlplaneClient, dataDir: string, name: string): Promise<string> {
  const file = apiKeyFile(dataDir, name);
  try {
    const { apiKey } = await client.createNamespace(name);
    await writeFileAtomic(file, `${apiKey}\n`);
  } catch (thrown) {
    if (toOramaError(thrown).code !== 'NAMESPACE_EXISTS') throw thrown;
    if (!existsSync(file)) {
      throw new UserError('CONFLICT', `namespace ${name} exists, but its API key is not kept in ${dataDir}`, {
        hint: 'use another one with --namespace <name>',
      });
    }
  }
  return file;
}
