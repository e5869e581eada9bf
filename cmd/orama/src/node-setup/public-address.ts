import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { privateRangeOf, UserError } from '@orama/core';
import type { LocalAddress } from './machine.ts';

/** How clients reach a node. */
export interface PublicAddress {
  publicIp: string;
  /** Where packets to it arrive: itself, or the local address behind 1:1 NAT. */
  localIp: string;
}

/** Anything outside: nothing is sent there. */
const FAR_AWAY = '192.0.2.1';

/**
 * The node's public address. One that no interface has is that of 1:1 NAT before the address by which the machine
 * reaches the internet.
 * @param given by the operator
 * @param seen how another node saw this machine
 * @param own addresses that are not those of the cluster's own network
 */
export async function publicAddress(
  own: readonly LocalAddress[],
  given: string | undefined,
  seen?: string,
): Promise<PublicAddress> {
  const local = await outwardAddress(own);
  const publicIp = given ?? (local && privateRangeOf(local.address) === null ? local.address : seen);
  if (publicIp === undefined) {
    const has = own.map(({ address }) => address).join(', ') || 'none';
    throw new UserError('INVALID_REQUEST', `the public address of this machine cannot be told from its own (${has})`, {
      hint: 'give it: --public-ip <address>; where it is that of 1:1 NAT in front of this machine, the same',
    });
  }
  if (own.some(({ address }) => address === publicIp)) return { publicIp, localIp: publicIp };
  if (local) return { publicIp, localIp: local.address };
  throw new UserError(
    'INVALID_REQUEST',
    `no interface of this machine has ${publicIp}, and no other address leads out`,
    {
      hint: "give the machine an address, or another --public-ip; that has to be on another interface than the nodes' network",
    },
  );
}

/** The address by which this machine reaches the internet, where that is one that the internet reaches. */
export async function openAddress(own: readonly LocalAddress[]): Promise<string | undefined> {
  const local = await outwardAddress(own);
  return local && privateRangeOf(local.address) === null ? local.address : undefined;
}

/** That by which a packet to the internet would leave, or else the only one that could be it. */
async function outwardAddress(own: readonly LocalAddress[]): Promise<LocalAddress | undefined> {
  const outward = await routedAddress();
  const candidates = own.filter(({ address }) => !isIPv6(address));
  const open = candidates.filter(({ address }) => privateRangeOf(address) === null);
  return (
    candidates.find(({ address }) => address === outward) ??
    [open, candidates].find((addresses) => addresses.length === 1)?.[0]
  );
}

/** The local address of what goes to the internet; undefined without a route. */
export async function routedAddress(): Promise<string | undefined> {
  const socket = createSocket('udp4');
  try {
    return await new Promise((resolve) => {
      socket.once('error', () => resolve(undefined));
      socket.connect(9, FAR_AWAY, () => resolve(socket.address().address));
    });
  } finally {
    socket.close();
  }
}
