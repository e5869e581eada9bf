import { readFile } from 'node:fs/promises';
import { contains, freeAddress, networksOverlap } from '@orama/controlplane/enrolment';
import { runTool } from '@orama/controlplane/run-tool';
import {
  type ConfFile,
  confFileOf,
  createPrivateWireguardKey,
  publicWireguardKey,
  readConfFile,
  readInterface,
  writeConfFile,
} from '@orama/controlplane/wireguard';
import { UserError } from '@orama/core';
import type { WireguardPeer } from '@orama/protocol';
import { interfaceExists, isWireguard, type LocalAddress, localAddresses } from './machine.ts';
import { DEFAULT_INTERFACE } from './paths.ts';

/** The network between the nodes, as this machine is to be in it. */
export type ClusterNetwork =
  /** An interface of ours, whose peers the controlplane keeps. */
  | { kind: 'wireguard'; interface: string; publicKey: string; listenPort: number }
  /** An interface that is there already. */
  | { kind: 'present'; interface: string; address: string; network: string };

export interface NetworkOptions {
  wireguardInterface?: string;
  trustedNetwork?: string;
  wireguardPort: number;
}

/**
 * Finds the interface of the cluster's network, or begins one of our own: with its key, but not up yet. Throws what an
 * operator has to decide first.
 * @param network that of the cluster, where it is known already
 */
export async function chooseNetwork(options: NetworkOptions, network?: string): Promise<ClusterNetwork> {
  const { wireguardInterface: name = DEFAULT_INTERFACE, trustedNetwork } = options;
  if (trustedNetwork !== undefined) return inTrustedNetwork(trustedNetwork, options.wireguardInterface);
  const conf = await readConfFile(name);
  if (!conf && interfaceExists(name)) return adopted(name, network);
  await requireWireguard();
  const privateKey = conf?.privateKey ?? createPrivateWireguardKey();
  const listenPort = conf?.listenPort ?? options.wireguardPort;
  if (!conf) await writeConfFile(name, { privateKey, listenPort, address: undefined, peers: [], foreign: '' });
  return { kind: 'wireguard', interface: name, publicKey: publicWireguardKey(privateKey), listenPort };
}

/** The interface that has an address in a network: joining a cluster whose controlplanes keep no peers. */
export async function findInNetwork(options: NetworkOptions, network: string): Promise<ClusterNetwork> {
  if (options.trustedNetwork !== undefined) return inTrustedNetwork(network, options.wireguardInterface);
  const name = options.wireguardInterface ?? addressIn(network)?.interface;
  if (name !== undefined && interfaceExists(name)) return adopted(name, network);
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
export async function bringUp(
  { interface: name, publicKey }: { interface: string; publicKey: string },
  address: string,
  peers: readonly WireguardPeer[],
): Promise<void> {
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
  const where = address?.cidr ?? 'your network';
  if (!(await isWireguard(name))) {
    throw new UserError(
      'FORBIDDEN',
      `${name} is no WireGuard interface: what nodes say to each other could be read there`,
      {
        hint: `if nobody else is in that network, say so: --wireguard-interface ${name} --trusted-network ${where}; or leave both out, and a WireGuard interface is made`,
      },
    );
  }
  if (!address) {
    const wanted = network === undefined ? '' : ` in ${network}`;
    throw new UserError('PRECONDITION_FAILED', `the interface ${name} has no address${wanted}`, {
      hint: 'give it one first: its addresses are kept by whoever made it',
    });
  }
  return { kind: 'present', interface: name, address: address.address, network: network ?? address.cidr };
}

function inTrustedNetwork(network: string, wanted: string | undefined): ClusterNetwork {
  const address = addressIn(network, wanted);
  if (address) return { kind: 'present', interface: address.interface, address: address.address, network };
  throw new UserError('PRECONDITION_FAILED', `${wanted ?? 'this machine'} has no address in ${network}`, {
    hint: 'name the network that the interface is in: see "ip addr"',
  });
}

function addressIn(network: string, name?: string): LocalAddress | undefined {
  return localAddresses().find(
    (each) => (name === undefined || each.interface === name) && contains(network, each.address),
  );
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
