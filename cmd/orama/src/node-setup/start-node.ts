import { readFile, rm, writeFile } from 'node:fs/promises';
import { ControlplaneClient } from '@orama/controlplane/client';
import { clearOtherFirewalls } from '@orama/controlplane/firewall';
import { runTool } from '@orama/controlplane/run-tool';
import { describeError, hostPort, OramaError, readSecretFile, UserError, writeFileAtomic } from '@orama/core';
import type { ClusterStatus, ControlplaneConfig } from '@orama/protocol';
import { missingParts, unreadyNodes } from '../dev/readiness.ts';
import type { Progress } from '../output/progress.ts';
import { pause } from '../wait.ts';
import { controlplaneRights, lockFiles, startOrder, UFW_LOCKS } from './controlplane-rights.ts';
import { PATHS } from './paths.ts';

const READY_TIMEOUT_MS = 90_000;
const POLL_MS = 150;
/** More than the controlplane may take to end. */
const STOP_TIMEOUT_MS = 30_000;
const CONTROLPLANE_UNIT = 'orama-controlplane.service';

/** A client of this node's own controlplane. */
export function ownControlplane({ api, clusterKeyFile }: ControlplaneConfig): ControlplaneClient {
  return new ControlplaneClient({ endpoints: [ownApi(api.port)], clusterKey: readSecretFile(clusterKeyFile) });
}

/** Starts the services of this node, now and at every boot, and waits until they serve. Throws TIMEOUT naming what is missing. */
export async function startNode(config: ControlplaneConfig, progress: Progress, signal: AbortSignal): Promise<void> {
  await giveRights(config);
  await runTool('systemctl', ['daemon-reload']);
  await runTool('systemctl', ['enable', 'orama.target']);
  progress.update('starting the services');
  await runTool('systemctl', ['start', 'orama.target']);
  await waitUntilReady(config, progress, signal);
  // It takes part, whatever the cluster agreed to before.
  await rm(PATHS.left, { force: true });
}

/** Writes down what the controlplane may do. One that was started for something else ends, and what it kept open is closed. */
async function giveRights(config: ControlplaneConfig): Promise<void> {
  const before = await readText(PATHS.networkRights);
  if (controlplaneRights(config) === before) return writeRights(config);
  const wasUp = (await stateOf(CONTROLPLANE_UNIT)) !== 'inactive';
  await runTool('systemctl', ['stop', CONTROLPLANE_UNIT], { timeoutMs: STOP_TIMEOUT_MS });
  try {
    if (before !== null) await clearOtherFirewalls(config.firewall);
    await writeRights(config);
  } catch (cause) {
    // Stopped by hand it would stay so.
    if (wasUp) await runTool('systemctl', ['start', '--no-block', CONTROLPLANE_UNIT]).catch(() => {});
    throw new UserError('UNAVAILABLE', `the controlplane cannot be given other rights: ${describeError(cause)}`, {
      cause,
      hint: 'put that right, then run the same command again',
    });
  }
}

async function writeRights(config: ControlplaneConfig): Promise<void> {
  const locks = lockFiles(config);
  await keepFile(PATHS.lockFiles, locks);
  if (locks !== null) for (const file of UFW_LOCKS) await writeFile(file, '', { flag: 'a', mode: 0o600 });
  for (const file of PATHS.startOrders) await keepFile(file, startOrder(config));
  await keepFile(PATHS.networkRights, controlplaneRights(config));
}

async function stateOf(unit: string): Promise<string> {
  return (await runTool('systemctl', ['show', '--property=ActiveState', '--value', unit])).trim();
}

/** Makes a file what it is to be, or away. */
async function keepFile(file: string, content: string | null): Promise<void> {
  if (content === (await readText(file))) return;
  if (content === null) await rm(file);
  else await writeFileAtomic(file, content, 0o644);
}

function readText(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch(() => null);
}

async function waitUntilReady(config: ControlplaneConfig, progress: Progress, signal: AbortSignal): Promise<void> {
  const client = ownControlplane(config);
  const node = { id: config.node, api: ownApi(config.api.port) };
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const cluster = await client.cluster().catch(() => undefined);
    const missing = missingParts([node], cluster, await unreadyNodes([node]));
    if (missing.length === 0) {
      if (cluster && (await othersAnswer(config, cluster))) return;
      missing.push(`another node to answer on port ${config.api.port} of its WireGuard address`);
    }
    const hint = `journalctl -u ${CONTROLPLANE_UNIT} -n 20, or of another unit of "systemctl status orama.slice"; then run the same command again`;
    if ((await stateOf(CONTROLPLANE_UNIT)) === 'failed')
      throw new OramaError('UNAVAILABLE', 'the controlplane of this node ended', { hint });
    if (performance.now() >= deadline) {
      const what = missing.join(', ');
      throw new OramaError('TIMEOUT', `the node is not up after ${READY_TIMEOUT_MS / 1000} s: ${what}`, {
        hint: `${hint}. One that was removed from the cluster leaves it first: orama node leave --force`,
      });
    }
    progress.update(`waiting for ${missing.join(', ')}`);
    await pause(POLL_MS, signal);
  }
}

/**
 * Whether another node takes what this one signs: then both have one key, and a way to each other. True where none can be
 * asked.
 */
async function othersAnswer(
  { node, api, clusterKeyFile }: ControlplaneConfig,
  cluster: ClusterStatus,
): Promise<boolean> {
  const others = cluster.nodes.filter(({ id, alive, state }) => id !== node && alive && state !== 'gone');
  if (others.length === 0) return true;
  const endpoints = others.map(({ wireguardIp }) => `http://${hostPort(wireguardIp, api.port)}`);
  try {
    await new ControlplaneClient({ endpoints, clusterKey: readSecretFile(clusterKeyFile) }).cluster();
    return true;
  } catch (thrown) {
    if (!(thrown instanceof OramaError) || thrown.code !== 'UNAUTHORIZED') return false;
    throw new OramaError('UNAUTHORIZED', `the other nodes refuse what ${node} says: ${thrown.message}`, {
      cause: thrown,
      hint: `where the clocks agree (timedatectl), ${clusterKeyFile} is not the cluster's: orama node leave --force, orama node remove ${node} --force on another node, then join anew`,
    });
  }
}

function ownApi(port: number): string {
  return `http://127.0.0.1:${port}`;
}
