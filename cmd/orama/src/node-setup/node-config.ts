import { networkOf } from '@orama/controlplane/enrolment';
import { hostPort } from '@orama/core';
import type { ControlplaneConfigInput, FirewallConfig, StoreConfig } from '@orama/protocol';
import type { ClusterNetwork } from './cluster-network.ts';
import { API_PORT, PATHS } from './paths.ts';

/** Where machines that join are answered: TCP on the number that WireGuard has for UDP. */
const ENROLMENT_PORT = 51_820;
const GATEWAY = { address: '127.0.0.1', port: 6080 };

export interface NodeFacts {
  node: string;
  region: string;
  publicIp: string;
  publicIp6: string | undefined;
  localIp: string;
  wireguardIp: string;
  wireguardNetwork: string;
  network: ClusterNetwork;
  store: StoreConfig;
  firewall: FirewallConfig;
  /** What the configuration of all nodes has in common. */
  shared: Pick<ControlplaneConfigInput, 'clusterId' | 'baseDomain' | 'dns'> &
    Partial<Pick<ControlplaneConfigInput, 'api' | 'turn' | 'ports' | 'certificates'>> & {
      gateway?: Omit<ControlplaneConfigInput['gateway'], 'listen'>;
    };
}

/** Configuration of a node's controlplane. Pure. */
export function nodeConfig({ node, network, shared, store, ...facts }: NodeFacts): ControlplaneConfigInput {
  const { publicIp, publicIp6, localIp, wireguardIp } = facts;
  const { api, turn, gateway, ...common } = shared;
  const isOurs = network.kind === 'wireguard';
  // Who has an address in the network already comes by that.
  const door = isOurs
    ? { listen: { address: localIp, port: network.listenPort }, at: publicIp }
    : { listen: { address: wireguardIp, port: ENROLMENT_PORT }, at: wireguardIp };
  return {
    node,
    ...common,
    region: facts.region,
    wireguardIp,
    wireguardNetwork: networkOf(facts.wireguardNetwork),
    publicIp,
    ...(publicIp6 === undefined ? {} : { publicIp6 }),
    ...(isOurs
      ? {
          wireguard: {
            interface: network.interface,
            publicKey: network.publicKey,
            endpoint: hostPort(publicIp, network.listenPort),
          },
        }
      : {}),
    invitations: { listen: door.listen, endpoint: hostPort(door.at, door.listen.port) },
    dataDir: PATHS.data,
    clusterKeyFile: PATHS.clusterKey,
    store,
    api: { port: API_PORT, ...api },
    services: { manager: 'systemd' },
    firewall: facts.firewall,
    gateway: { listen: GATEWAY, ...gateway },
    turn: { ...turn, ...(localIp === publicIp ? {} : { external: { [localIp]: publicIp } }) },
  };
}
