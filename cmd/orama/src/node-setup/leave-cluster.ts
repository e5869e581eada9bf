import { existsSync } from 'node:fs';
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CaddyWatch } from '@orama/controlplane/certificates';
import type { ControlplaneClient } from '@orama/controlplane/client';
import { clearFirewall, clearOtherFirewalls, createFirewall } from '@orama/controlplane/firewall';
import { runTool } from '@orama/controlplane/run-tool';
import { confFileOf, ownInterfaces } from '@orama/controlplane/wireguard';
import { describeError, OramaError, systemClock, UserError, writeFileAtomic } from '@orama/core';
import type { ControlplaneConfig, FirewallConfig, NodeView } from '@orama/protocol';
import type { Progress } from '../output/progress.ts';
import { aloneOnMachine, interfaceExists } from './machine.ts';
import { readNodeConfig } from './node-files.ts';
import { PATHS } from './paths.ts';
import { broughtSecrets } from './secret-files.ts';
import { ownControlplane } from './start-node.ts';

/** More than any unit may take. */
const STOP_TIMEOUT_MS = 60_000;
/** A store that leads hands that on in some hundredths of a second. */
const HAND_ON_MS = 1_000;
/** Where the controlplane has drop-ins of its own. */
const RUN_UNITS = '/run/systemd/system';

/** Ours, the last one last: with the configuration the machine is a node, and another run goes on as one that left. */
const FILES = [
  PATHS.lockFiles,
  PATHS.zoneFile,
  PATHS.clusterKey,
  PATHS.storeCredentials,
  PATHS.rqlitedAuth,
  PATHS.rqlitedOptions,
  PATHS.brought,
  PATHS.config,
  PATHS.left,
];

/**
 * Makes this machine no node any more: out of the cluster, its services ended, its interface and its files gone. Goes by
 * what is there, so that it also takes away what an init or join left that was cut off. Throws CONFLICT while something is
 * on it, UNAVAILABLE where the cluster cannot be asked; by force neither is asked for.
 * @returns the node's name, null for one that was never whole; nothing where there is nothing of a node
 */
export function leaveCluster({ force }: { force: boolean }, progress: Progress): Promise<Left | undefined> {
  return aloneOnMachine(() => leave(force, progress));
}

/** A node that was, null for one that was never whole. */
interface Left {
  node: string | null;
}

async function leave(force: boolean, progress: Progress): Promise<Left | undefined> {
  const config = await readNodeConfig().catch((thrown: unknown) => {
    if (!force) throw thrown;
    progress.step(`what is found goes, and of Caddy nothing (systemctl restart caddy): ${describeError(thrown)}`);
    return null;
  });
  const interfaces = new Set([...(await ownInterfaces()), ...(config?.wireguard ? [config.wireguard.interface] : [])]);
  if (interfaces.size === 0 && !FILES.some(existsSync)) return undefined;
  if (config && !force) await leaveByConsent(config.node, ownControlplane(config), progress);
  progress.update('ending the services');
  await runTool('systemctl', ['disable', 'orama.target']);
  // First who would start the others again.
  await stopUnits('orama-controlplane.service');
  await endRqlited(force);
  await stopUnits('orama*');
  // One that ended badly would be listed for ever. It fails where none did.
  await runTool('systemctl', ['reset-failed', 'orama*']).catch(() => {});
  progress.step('the services have ended');
  if (config) await clearCaddy(config, progress);
  await closeFirewall(config?.firewall ?? { driver: 'none' }, force, progress);
  for (const name of interfaces) await takeDown(name);
  for (const file of [PATHS.networkRights, ...PATHS.startOrders]) {
    await rm(file, { force: true });
    // Those of the operator stay.
    await rmdir(dirname(file)).catch(() => {});
  }
  for (const name of await namesIn(RUN_UNITS))
    if (/^orama-.*\.service\.d$/.test(name)) await rm(join(RUN_UNITS, name), { recursive: true, force: true });
  await runTool('systemctl', ['daemon-reload']);
  for (const folder of [PATHS.data, PATHS.run])
    for (const name of await namesIn(folder)) await rm(join(folder, name), { recursive: true, force: true });
  for (const file of [...(await broughtSecrets()), ...FILES]) await rm(file, { force: true });
  progress.step('its files are gone');
  return { node: config?.node ?? null };
}

/**
 * What it has goes anyway: one that is out of its cluster would try to be elected for some seconds, one that is a member
 * still and has no majority would wait ten for the others. As a member it may lead, which others take over sooner when told.
 */
async function endRqlited(isMember: boolean): Promise<void> {
  const unit = 'orama-rqlited.service';
  // First: it is not to be started again.
  await runTool('systemctl', ['stop', '--no-block', unit]);
  if (isMember) await runTool('systemctl', ['stop', unit], { timeoutMs: HAND_ON_MS }).catch(() => {});
  await runTool('systemctl', ['kill', '--signal=KILL', unit]).catch(() => {});
}

function stopUnits(pattern: string) {
  return runTool('systemctl', ['stop', pattern], { timeoutMs: STOP_TIMEOUT_MS });
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

/** Caddy would go on renewing names that lead elsewhere, and keep the key that it proves them by. */
async function clearCaddy({ certificates }: ControlplaneConfig, progress: Progress): Promise<void> {
  if (certificates.source !== 'caddy') return;
  try {
    await new CaddyWatch(certificates, systemClock, null).clear();
    progress.step('its names are gone from Caddy');
  } catch (thrown) {
    // One that does not run begins with its own configuration.
    progress.step(`its names are not taken out of Caddy (${describeError(thrown)}): systemctl restart caddy does it`);
  }
}

/** By force it also goes where the firewall was uninstalled before. */
async function closeFirewall(config: FirewallConfig, force: boolean, progress: Progress) {
  const firewall = createFirewall(config);
  try {
    await clearOtherFirewalls(config);
    if (!firewall) return;
    await clearFirewall(firewall);
    progress.step('its rules are gone from the firewall');
  } catch (thrown) {
    if (!force) throw thrown;
    progress.step(`its rules are not taken out of the firewall: ${describeError(thrown)}`);
  }
}

/** What is written down while it leaves: that the cluster is being asked, and that it has let the machine go. */
type Consent = 'asked' | 'agreed';

/**
 * Has the cluster let go of a node. Where nobody can be asked, only that it agreed before counts: a drained node may have
 * been resumed since it was asked.
 */
export async function leaveByConsent(
  node: string,
  client: Pick<ControlplaneClient, 'nodes' | 'removeNode'>,
  progress: Progress,
  file: string = PATHS.left,
): Promise<void> {
  const note = (consent: Consent) => writeFileAtomic(file, consent);
  const forget = () => rm(file, { force: true });
  const nodes = await client.nodes().catch(async (cause: unknown) => {
    const before = await readFile(file, 'utf8').catch(() => null);
    if (before === ('agreed' satisfies Consent)) return null;
    const start = 'start its services (systemctl start orama.target)';
    throw new UserError(
      'UNAVAILABLE',
      `the cluster cannot be asked whether ${node} may leave: ${describeError(cause)}`,
      {
        cause,
        hint:
          before === null
            ? `${start}, or leave without asking: --force`
            : `a run before this asked, and was cut off. ${start}; or, where other nodes do not have it any more (orama node list), leave with --force`,
      },
    );
  });
  if (nodes === null) {
    progress.step(`the cluster let ${node} go before`);
    return;
  }
  if (isGone(node, nodes)) return note('agreed');
  // What it says now counts.
  await forget();
  refuseWhatStays(node, nodes);
  // First: once the others have let go of it, it can ask nobody any more.
  await note('asked');
  await client.removeNode(node).catch(async (thrown: unknown) => {
    const isRefused = thrown instanceof OramaError && !thrown.retryable;
    const after = isRefused ? nodes : await client.nodes().catch(() => null);
    // Perhaps only its answer was missing.
    if (after && isGone(node, after)) return;
    if (after) await forget();
    throw thrown;
  });
  await note('agreed');
}

function isGone(node: string, nodes: readonly NodeView[]): boolean {
  return nodes.every(({ id, state }) => id !== node || state === 'gone');
}

function refuseWhatStays(node: string, nodes: readonly NodeView[]): void {
  const others = nodes.filter(({ id, state }) => id !== node && state !== 'gone');
  if (others.length === 0) {
    throw new UserError('CONFLICT', `${node} is the only node: the cluster and all it keeps would be gone`, {
      hint: 'keep a copy (orama store backup), then: orama node leave --force',
    });
  }
  if (nodes.some(({ id, state }) => id === node && state === 'active')) {
    throw new UserError('CONFLICT', `${node} takes part; nothing was changed`, {
      hint: `orama node drain ${node}, which lets others take over; then leave`,
    });
  }
}

async function takeDown(interfaceName: string): Promise<void> {
  const unit = `wg-quick@${interfaceName}.service`;
  // It fails where the interface was taken down by hand, which is as good.
  await runTool('systemctl', ['disable', '--now', unit]).catch(() => {});
  if (await interfaceExists(interfaceName)) await runTool('wg-quick', ['down', interfaceName]);
  await rm(confFileOf(interfaceName), { force: true });
}
