import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { clearFirewall, createFirewall } from '@orama/controlplane/firewall';
import { runTool } from '@orama/controlplane/run-tool';
import { confFileOf } from '@orama/controlplane/wireguard';
import { describeError, UserError } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import type { Progress } from '../output/progress.ts';
import { requireNodeMachine } from './machine.ts';
import { readNodeConfig } from './node-files.ts';
import { PATHS } from './paths.ts';
import { ownControlplane } from './start-node.ts';

/** More than any unit may take. */
const STOP_TIMEOUT_MS = 60_000;

/**
 * Makes this machine no node any more: out of the cluster, its services ended, its interface and its files gone. Throws
 * CONFLICT while something is on it, UNAVAILABLE where the cluster cannot be asked; by force neither is asked for.
 * @returns the node's name; null where the machine was none
 */
export async function leaveCluster({ force }: { force: boolean }, progress: Progress): Promise<string | null> {
  requireNodeMachine();
  const config = await readNodeConfig();
  if (!config) return null;
  if (!force) await leaveByConsent(config);
  progress.update('ending the services');
  await runTool('systemctl', ['disable', 'orama.target']);
  // First who would start the others again.
  for (const units of ['orama-controlplane.service', 'orama*'])
    await runTool('systemctl', ['stop', units], { timeoutMs: STOP_TIMEOUT_MS });
  // One that ended badly would be listed for ever. It fails where none did.
  await runTool('systemctl', ['reset-failed', 'orama*']).catch(() => {});
  progress.step('the services have ended');
  const firewall = createFirewall(config.firewall);
  if (firewall) {
    await clearFirewall(firewall);
    progress.step('its rules are gone from the firewall');
  }
  if (config.wireguard) await takeDown(config.wireguard.interface);
  await rm(PATHS.controlplaneDropIns, { recursive: true, force: true });
  await rm(PATHS.lockFiles, { force: true });
  await runTool('systemctl', ['daemon-reload']);
  for (const name of await readdir(PATHS.data).catch(() => []))
    await rm(join(PATHS.data, name), { recursive: true, force: true });
  await rm(PATHS.zoneFile, { force: true });
  const { clusterKey, storeCredentials, rqlitedAuth, rqlitedOptions, config: last } = PATHS;
  // The configuration last: with it the machine is a node, and another run goes on.
  for (const file of [clusterKey, storeCredentials, rqlitedAuth, rqlitedOptions, last]) await rm(file, { force: true });
  progress.step('its files are gone');
  return config.node;
}

async function leaveByConsent(config: ControlplaneConfig): Promise<void> {
  const client = ownControlplane(config);
  const nodes = await client.nodes().catch((cause: unknown) => {
    throw new UserError(
      'UNAVAILABLE',
      `the cluster cannot be asked whether ${config.node} may leave: ${describeError(cause)}`,
      {
        cause,
        hint: 'start its services (systemctl start orama.target), or leave without asking: --force',
      },
    );
  });
  const own = nodes.find(({ id }) => id === config.node);
  if (!own || own.state === 'gone') return;
  const others = nodes.filter(({ id, state }) => id !== config.node && state !== 'gone');
  if (others.length === 0) {
    throw new UserError('CONFLICT', `${config.node} is the only node: the cluster and all it keeps would be gone`, {
      hint: 'keep a copy (orama store backup), then: orama node leave --force',
    });
  }
  if (own.state === 'active') {
    throw new UserError('CONFLICT', `${config.node} takes part; nothing was changed`, {
      hint: `orama node drain ${config.node}, which lets others take over; then leave`,
    });
  }
  await client.removeNode(config.node);
}

async function takeDown(interfaceName: string): Promise<void> {
  const unit = `wg-quick@${interfaceName}.service`;
  // It fails where the interface was taken down by hand, which is as good.
  await runTool('systemctl', ['disable', '--now', unit]).catch(() => {});
  if (existsSync(`/sys/class/net/${interfaceName}`)) await runTool('wg-quick', ['down', interfaceName]);
  await rm(confFileOf(interfaceName), { force: true });
}
