import { BlockList, isIP } from 'node:net';
import { OramaError } from '@orama/core';

/**
 * The lowest address of an IPv4 network that nobody has; the network's own and its broadcast address are nobody's.
 * Throws CONFLICT when there is none.
 */
export function freeAddress(network: string, taken: ReadonlySet<string>): string {
  const { base, size } = ipv4Network(network);
  for (let offset = 1; offset < size - 1; offset += 1) {
    const address = textOf(base + offset);
    if (!taken.has(address)) return address;
  }
  throw new OramaError('CONFLICT', `every address of the WireGuard network ${network} is taken`, {
    hint: 'take nodes that are gone for good out of the cluster (orama node list --all)',
  });
}

/** Whether two networks share an address. Networks of different kinds share none. */
export function networksOverlap(one: string, other: string): boolean {
  return contains(one, other) || contains(other, one);
}

/** Whether the network holds the first address of the other, or the address. */
export function contains(network: string, other: string): boolean {
  const [address = '', prefix] = network.split('/');
  const [inner = ''] = other.split('/');
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(address) !== isIP(inner)) return false;
  const list = new BlockList();
  list.addSubnet(address, Number(prefix), family);
  return list.check(inner, family);
}

/** Whether the whole network lies in another one. */
export function isWithin(network: string, outer: string): boolean {
  return Number(network.split('/')[1]) >= Number(outer.split('/')[1]) && contains(outer, network);
}

/** The network of an interface's address: `10.0.0.1/24` is in `10.0.0.0/24`. IPv6 stays as it is written. */
export function networkOf(cidr: string): string {
  return isIP(cidr.split('/')[0] ?? '') === 4 ? `${textOf(ipv4Network(cidr).base)}/${cidr.split('/')[1]}` : cidr;
}

function ipv4Network(network: string): { base: number; size: number } {
  const [address = '', prefix] = network.split('/');
  if (isIP(address) !== 4) {
    throw new OramaError('INVALID_REQUEST', `${network} is no IPv4 network: addresses are given out in those only`, {
      hint: 'give --wireguard-network 10.86.0.0/24, or one of your own',
    });
  }
  const size = 2 ** (32 - Number(prefix));
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return { base: number - (number % size), size };
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}
