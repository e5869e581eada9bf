import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { contains, freeAddress, isWithin, networksOverlap } from '@orama/controlplane/enrolment';
import { runTool } from '@orama/controlplane/run-tool';
import {
  type ConfFile,
  confFileOf,
  createPrivateWireguardKey,
  ownInterfaces,
  publicWireguardKey,
  readConfFile,
  readInterface,
  writeConfFile,
} from '@orama/controlplane/wireguard';
import { privateRangeOf, UserError } from '@orama/core';
import type { WireguardPeer } from '@orama/protocol';
import { interfaceExists, isWireguard, type LocalAddress, localAddresses } from './machine.ts';
import { DEFAULT_INTERFACE } from './paths.ts';
import { routedAddress } from './public-address.ts';

/** The network between the nodes, as this machine is to be in it. */
export type ClusterNetwork =
  /** An interface of ours, whose peers the controlplane keeps. */
  | { kind: 'wireguard'; interface: string; privateKey: string; publicKey: string; listenPort: number }
  /** An interface that is there already. */
  | { kind: 'present'; interface: string; address: string; network: string };

export interface NetworkOptions {
  wireguardInterface?: string;
  /** That of the cluster. */
  wireguardNetwork?: string;
  trustedNetwork?: string;
  wireguardPort: number;
}

/** Networks that nobody else can be in: private ones (RFC 1918), and those of carriers (RFC 6598), which overlays use. */
const CLOSED_NETWORKS = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

/**
 * Finds the interface of the cluster's network, or thinks up one of our own. Changes nothing. Throws what an operator has
 * to decide first.
 */
export async function chooseNetwork(options: NetworkOptions): Promise<ClusterNetwork> {
  const { wireguardInterface: name = DEFAULT_INTERFACE, trustedNetwork } = options;
  if (trustedNetwork !== undefined)
    return inTrustedNetwork(trustedNetwork, options.wireguardInterface, localAddresses(), await routedAddress());
  // One that is up and not ours is used as it is, whoever wrote its file.
  if (!(await ownInterfaces()).includes(name) && (await interfaceExists(name)))
    return adopted(name, options.wireguardNetwork);
  const conf = await readConfFile(name);
  await requireWireguard();
  const privateKey = conf?.privateKey ?? createPrivateWireguardKey();
  const listenPort = conf?.listenPort ?? options.wireguardPort;
  return { kind: 'wireguard', interface: name, privateKey, publicKey: publicWireguardKey(privateKey), listenPort };
}

type OwnNetwork = Extract<ClusterNetwork, { kind: 'wireguard' }>;

/** Keeps the key of an interface of ours, which is not up yet: who asks again has to be the same. */
export async function keepKey({ interface: name, privateKey, listenPort }: OwnNetwork): Promise<void> {
  if (await readConfFile(name)) return;
  await writeConfFile(name, { privateKey, listenPort, address: undefined, peers: [], foreign: '' });
}

/** The interface that has an address in a network: joining a cluster whose controlplanes keep no peers. */
export async function findInNetwork(options: NetworkOptions, network: string): Promise<ClusterNetwork> {
  const { trustedNetwork } = options;
  if (trustedNetwork !== undefined) {
    if (isWithin(network, trustedNetwork))
      return inTrustedNetwork(network, options.wireguardInterface, localAddresses(), await routedAddress());
    throw new UserError('CONFLICT', `the network of the cluster is ${network}, which is not in ${trustedNetwork}`, {
      hint: `if nobody else is in that one either: --trusted-network ${network}`,
    });
  }
  const name =
    options.wireguardInterface ?? localAddresses().find(({ address }) => contains(network, address))?.interface;
  if (name !== undefined && (await interfaceExists(name))) return adopted(name, network);
  throw new UserError('PRECONDITION_FAILED', `this machine has no address in the cluster's network ${network}`, {
    hint: 'bring its interface up first: the peers of that network are kept by whoever made it',
  });
}

/** The address that the first node gives itself. */
export function firstAddress(network: string, own: string): string {
  const other = localAddresses().find((each) => each.interface !== own && networksOverlap(network, each.cidr));
  if (!other) return freeAddress(network, new Set());
  throw new UserError('CONFLICT', `${network} is in use on this machine: ${other.interface} has ${other.cidr}`, {
    hint: 'give the cluster another network of its own: --wireguard-network 10.87.0.0/24',
  });
}

/** Brings an interface of ours up with this address and these peers, now and at every boot. */
export async function bringUp(network: OwnNetwork, address: string, peers: readonly WireguardPeer[]): Promise<void> {
  const { interface: name, publicKey } = network;
  await keepKey(network);
  const before = (await readConfFile(name)) as ConfFile;
  const text = await readFile(confFileOf(name), 'utf8');
  await writeConfFile(name, { ...before, address, peers: [...peers] });
  const isChanged = (await readFile(confFileOf(name), 'utf8')) !== text;
  const unit = `wg-quick@${name}.service`;
  await runTool('systemctl', ['enable', unit]);
  await runTool('systemctl', [isChanged ? 'restart' : 'start', unit]).catch((cause: unknown) => {
    throw new UserError('UNAVAILABLE', `the WireGuard interface ${name} does not come up`, {
      cause,
      hint: `journalctl -u ${unit} -n 20; then run the same command again`,
    });
  });
  if ((await readInterface(name)).publicKey === publicKey) return;
  throw new UserError('CONFLICT', `the interface ${name} is up with another key than ${confFileOf(name)} has`, {
    hint: `wg-quick down ${name}; then run the same command again`,
  });
}

async function adopted(name: string, network: string | undefined): Promise<ClusterNetwork> {
  const addresses = localAddresses().filter((each) => each.interface === name);
  const address = addresses.find(({ cidr }) => network === undefined || contains(network, cidr));
  const where = (address ?? addresses[0])?.cidr ?? '';
  if (!(await isWireguard(name))) {
    throw new UserError(
      'FORBIDDEN',
      `${name} is no WireGuard interface: what nodes say to each other could be read there`,
      {
        hint: isClosed(where)
          ? `if nobody else is in that network, say so: --wireguard-interface ${name} --trusted-network ${where}; or leave both out, and a WireGuard interface is made`
          : 'leave --wireguard-interface out, and a WireGuard interface is made',
      },
    );
  }
  if (!address) {
    const wanted = network === undefined ? '' : ` in ${network}`;
    throw new UserError('PRECONDITION_FAILED', `the interface ${name} has no address${wanted}`, {
      hint: 'give it one first: its addresses are kept by whoever made it',
    });
  }
  return present(address, network);
}

/** What is there already, as the network of the cluster: without another word that which its address says. */
export function present(
  { interface: name, address, cidr }: LocalAddress,
  network = cidr,
): Extract<ClusterNetwork, { kind: 'present' }> {
  if (!isIPv4(address)) {
    throw new UserError('INVALID_REQUEST', `the network between the nodes has to be IPv4, and ${name} has ${cidr}`, {
      hint: 'give the interface an IPv4 address too, or leave it out: an interface is made',
    });
  }
  if (Number(network.split('/')[1]) < 31) return { kind: 'present', interface: name, address, network };
  throw new UserError('INVALID_REQUEST', `${network} of ${name} holds no other node`, {
    hint: 'name the network that all nodes are in: --wireguard-network 10.77.0.0/24, or --trusted-network',
  });
}

/**
 * What an operator says that nobody else is in. Throws where that cannot be: a network of the internet, or an interface
 * that is reached from there as well.
 * @param outward the address by which this machine reaches the internet
 */
export function inTrustedNetwork(
  network: string,
  wanted: string | undefined,
  local: readonly LocalAddress[],
  outward?: string,
): ClusterNetwork {
  if (!isClosed(network)) {
    throw new UserError('INVALID_REQUEST', `${network} is no private network: others may be in it, too`, {
      hint: `name one within ${CLOSED_NETWORKS.join(', ')}; or leave --trusted-network out, and a WireGuard interface is made`,
    });
  }
  const [address, ...others] = local.filter(
    ({ address, ...each }) => (wanted ?? each.interface) === each.interface && contains(network, address),
  );
  if (!address) {
    throw new UserError('PRECONDITION_FAILED', `${wanted ?? 'this machine'} has no address in ${network}`, {
      hint: 'name the network that the interface is in: see "ip addr"',
    });
  }
  const other = others.find((each) => each.interface !== address.interface);
  if (other) {
    throw new UserError('INVALID_REQUEST', `${address.interface} and ${other.interface} are both in ${network}`, {
      hint: `say which one the nodes have to themselves: --wireguard-interface ${other.interface}`,
    });
  }
  const onIt = local.filter((each) => each.interface === address.interface);
  const open = onIt.find((each) => privateRangeOf(each.address) === null);
  const why = open
    ? `has the public address ${open.address}, too`
    : onIt.some((each) => each.address === outward)
      ? 'leads to the internet'
      : null;
  if (why === null) return present(address, network);
  throw new UserError('CONFLICT', `${address.interface} ${why}: strangers come in by it`, {
    hint: 'the network of the nodes needs an interface of its own; leave --trusted-network out, and one of WireGuard is made',
  });
}

function isClosed(network: string): boolean {
  return CLOSED_NETWORKS.some((closed) => isWithin(network, closed));
}

/** Refuses a machine without the tools, or with neither WireGuard in its kernel nor wireguard-go. */
async function requireWireguard(): Promise<void> {
  await runTool('wg', ['--version']);
  await runTool('wg-quick', ['--help']);
  const probe = `orama-probe${process.pid % 1000}`;
  try {
    await runTool('ip', ['link', 'add', probe, 'type', 'wireguard']);
    await runTool('ip', ['link', 'delete', probe]);
  } catch {
    await runTool('wireguard-go', ['--version']);
  }
}
