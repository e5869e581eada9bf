import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ConfigError, specialRangeOf } from '@orama/core';
import type { TurnConfig, TurnTenant } from '@orama/protocol';
import { canonicalAddress } from '../stun/index.ts';

/** Ranges that no socket of a server can be bound to, or that mean nothing to a client. */
const UNUSABLE: readonly (string | null)[] = ['this-network', 'multicast', 'link-local', 'reserved', 'malformed'];

/** Addresses of this machine's interfaces. */
export function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []);
}

/**
 * Checks the addresses a server is configured with against those of the machine.
 * @param interfaces addresses of the machine, as `interfaceAddresses` returns them
 * @throws ConfigError that names each field which cannot be right, and what to write instead
 */
export function checkServerAddresses(
  { listen, external }: Pick<TurnConfig, 'listen' | 'external'>,
  interfaces: readonly string[],
): void {
  const problems = listen.flatMap((address, index) => localProblems(`listen[${index}]`, address, interfaces));
  const publics = new Map<string, string>();
  for (const [local, told] of Object.entries(external)) {
    const field = `external["${local}"]`;
    problems.push(...localProblems(field, local, interfaces));
    const range = specialRangeOf(told);
    if (isIP(told) !== isIP(local)) {
      problems.push(`${field}: ${told} is not of the same family; map IPv4 to IPv4 and IPv6 to IPv6`);
    } else if (UNUSABLE.includes(range) || (range !== null && specialRangeOf(local) !== 'loopback')) {
      problems.push(`${field}: ${told} is a ${range} address that clients cannot reach; give the public address`);
    }
    const other = publics.get(told);
    if (other !== undefined)
      problems.push(`${field}: ${told} is the public address of ${other} already; 1:1 NAT has one each`);
    publics.set(told, local);
  }
  throwIfAny('the server’s addresses cannot be right', problems);
}

/**
 * What speaks against the addresses that clients are told without a mapping: one line for each that the internet does not
 * reach, loopback ones excepted. No error: on a private network such an address is the right one.
 */
export function addressWarnings({ listen, external }: Pick<TurnConfig, 'listen' | 'external'>): string[] {
  return listen.flatMap((address, index) => toldProblems(`listen[${index}]`, address, external));
}

/** Where a server listens itself, and what it tells clients in the place of its addresses. */
export type ServerAddresses = Pick<TurnConfig, 'listen' | 'port' | 'tls' | 'internal' | 'external'>;

/**
 * Checks a tenant's relay addresses and ports against the machine's addresses and the server's own ports. With public
 * peers the internet has to reach them.
 * @throws ConfigError that names each field which cannot be right, and what to write instead
 */
export function checkRelay(
  { relay, allowPublicPeers }: Pick<TurnTenant, 'relay' | 'allowPublicPeers'>,
  server: ServerAddresses,
  interfaces: readonly string[],
): void {
  const { address, address6, innerAddress, portStart, portEnd } = relay;
  const problems = localProblems('relay.address', address, interfaces);
  if (isIP(address) === 6) problems.push(`relay.address: ${address} is IPv6; put it into relay.address6`);
  if (address6 !== undefined) {
    problems.push(...localProblems('relay.address6', address6, interfaces));
    if (isIP(address6) === 4) problems.push(`relay.address6: ${address6} is IPv4; put it into relay.address`);
  }
  if (innerAddress !== undefined) problems.push(...localProblems('relay.innerAddress', innerAddress, interfaces));
  if (allowPublicPeers && problems.length === 0) {
    const told = toldProblems('relay.address', address, server.external);
    if (address6 !== undefined) told.push(...toldProblems('relay.address6', address6, server.external));
    problems.push(...told.map((problem) => `${problem}, or leave out allowPublicPeers (peer policy sfu)`));
  }
  if (portEnd < portStart) problems.push('relay.portEnd: must not be below relay.portStart');
  for (const [field, port, addresses] of portsOf(server)) {
    const own = addresses.map(canonicalAddress);
    const shared = [address, address6, innerAddress].find(
      (one) => one !== undefined && own.includes(canonicalAddress(one)),
    );
    if (shared === undefined || port < portStart || port > portEnd) continue;
    problems.push(
      `relay.portStart, relay.portEnd: ${portStart}-${portEnd} holds ${port}, which is the server's own ${field} on ${shared}; ` +
        'give the tenant another block, or the server another port',
    );
  }
  throwIfAny('the relay addresses cannot be right', problems);
}

function portsOf({
  listen,
  port,
  tls,
  internal,
}: ServerAddresses): [field: string, port: number, addresses: string[]][] {
  return [
    ['port', port, listen],
    ...(tls === false ? [] : [['tls.port', tls.port, listen] satisfies [string, number, string[]]]),
    ['internal.port', internal.port, [internal.address]],
  ];
}

/** That an address which clients are told as it is, without a mapping, is none of the internet. */
function toldProblems(field: string, address: string, external: TurnConfig['external']): string[] {
  const range = specialRangeOf(address);
  if (range === null || range === 'loopback' || Object.hasOwn(external, address)) return [];
  return [
    `${field}: ${address} is a ${range} address that the internet does not reach, and external has no public one for it; ` +
      `behind 1:1 NAT add "${address}": "<public address>" to external`,
  ];
}

function localProblems(field: string, address: string, interfaces: readonly string[]): string[] {
  const range = specialRangeOf(address);
  if (UNUSABLE.includes(range)) {
    return [`${field}: ${address} is a ${range} address; name one address of this machine`];
  }
  // The whole of 127.0.0.0/8 is the loopback interface's.
  if (range === 'loopback' && isIP(address) === 4) return [];
  if (interfaces.some((own) => canonicalAddress(own) === canonicalAddress(address))) return [];
  return [
    `${field}: ${address} is on no interface of this machine, which has ${interfaces.join(', ')}; ` +
      'behind 1:1 NAT name the local address and map it to the public one in external',
  ];
}

function throwIfAny(what: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new ConfigError(`${what}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
}
