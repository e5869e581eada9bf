import { newId } from '@orama/core';
import { type ControlplaneConfig, type ControlplaneConfigInput, DEFAULT_REGION } from '@orama/protocol';
import type { Progress } from '../output/progress.ts';
import { chooseFirewall, type FirewallOption } from './choose-firewall.ts';
import { bringUp, type ClusterNetwork, chooseNetwork, firstAddress } from './cluster-network.ts';
import { aloneOnMachine, localAddresses, nodeName } from './machine.ts';
import { nodeConfig } from './node-config.ts';
import {
  checkNodeConfig,
  fileStore,
  makeFolders,
  memberStore,
  readNodeConfig,
  requireRqlited,
  writeClusterKey,
  writeNodeConfig,
  writeStoreMember,
} from './node-files.ts';
import { DEFAULT_NETWORK, PATHS } from './paths.ts';
import { publicAddress } from './public-address.ts';
import { refuseOther } from './refuse-other.ts';
import { startNode } from './start-node.ts';

export interface InitOptions {
  baseDomain: string;
  name?: string;
  region?: string;
  publicIp?: string;
  publicIp6?: string;
  wireguardInterface?: string;
  wireguardNetwork?: string;
  wireguardPort: number;
  trustedNetwork?: string;
  firewall?: FirewallOption;
  store?: 'rqlite' | 'sqlite';
  dns?: 'embedded' | 'file';
  certificates?: 'none' | 'caddy';
  callPage?: boolean;
  operatorApi?: boolean;
}

/** Makes this machine the first node of a cluster. One that is it already is started and waited for. */
export function initNode(options: InitOptions, progress: Progress, signal: AbortSignal): Promise<ControlplaneConfig> {
  return aloneOnMachine(async () => {
    const existing = await readNodeConfig();
    if (existing) refuseOther(existing, options);
    const config = existing ?? (await setUp(options, progress));
    await startNode(config, progress, signal);
    return config;
  });
}

/** What cannot be is refused first; then every step finds what a run before it left, and the configuration comes last. */
async function setUp(options: InitOptions, progress: Progress): Promise<ControlplaneConfig> {
  if (options.store !== 'sqlite') requireRqlited();
  const node = nodeName(options.name);
  const network = await chooseNetwork(options);
  const own = localAddresses().filter((each) => each.interface !== network.interface);
  const { publicIp, localIp } = await publicAddress(own, options.publicIp);
  progress.step(`${node} is reached at ${publicIp}${localIp === publicIp ? '' : `, by 1:1 NAT to ${localIp}`}`);
  const { wireguardIp, wireguardNetwork } = placeIn(network, options);
  const member = { node, address: wireguardIp, others: [] };
  const store = options.store === 'sqlite' ? fileStore() : memberStore(member);
  const dns: ControlplaneConfigInput['dns'] =
    options.dns === 'file' ? { writer: 'file', file: PATHS.zoneFile } : { writer: 'embedded' };
  const shared = {
    clusterId: newId('cluster'),
    baseDomain: options.baseDomain,
    dns,
    certificates: { source: options.certificates ?? 'none' },
    gateway: { callPage: options.callPage ?? false, ...(options.operatorApi ? { operatorApi: {} } : {}) },
  };
  const config = nodeConfig({
    node,
    region: options.region ?? DEFAULT_REGION,
    publicIp,
    localIp,
    wireguardIp,
    wireguardNetwork,
    network,
    store,
    firewall: await chooseFirewall(options.firewall ?? 'none', progress),
    shared,
    publicIp6: options.publicIp6,
  });
  // Nothing is changed for what cannot be.
  checkNodeConfig(config);
  await makeFolders();
  if (network.kind === 'wireguard') await bringUp(network, `${wireguardIp}/${wireguardNetwork.split('/')[1]}`, []);
  progress.step(`${network.interface} is up with ${wireguardIp}`);
  await writeClusterKey();
  if (store.driver === 'rqlite') await writeStoreMember(member);
  return writeNodeConfig(config);
}

/** Where the first node is in its network. */
function placeIn(network: ClusterNetwork, options: InitOptions): { wireguardIp: string; wireguardNetwork: string } {
  if (network.kind === 'present') return { wireguardIp: network.address, wireguardNetwork: network.network };
  const wireguardNetwork = options.wireguardNetwork ?? DEFAULT_NETWORK;
  return { wireguardIp: firstAddress(wireguardNetwork, network.interface), wireguardNetwork };
}
