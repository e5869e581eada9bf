import { type AddressSet, specialRangeOf, unmapIpv4 } from '@orama/core';
import type { TurnTenant } from '@orama/protocol';
import type { PermittedHost, PortRange } from '../relay/relay.ts';
import { hostKey, ipv6ToBytes, ipv6ToText } from '../stun/index.ts';

/** What the policy says about a peer address: the rule that decided and, when allowed, the host to permit. */
export type PeerVerdict =
  | { readonly allowed: true; readonly rule: string; readonly host: PermittedHost }
  | { readonly allowed: false; readonly rule: string };

/** An address in the one spelling that texts are compared by: IPv4 unmapped, IPv6 shortened. */
function canonical(address: string): string {
  const plain = unmapIpv4(address);
  if (typeof hostKey(plain) === 'number') return plain;
  const bytes = ipv6ToBytes(plain);
  return bytes === undefined ? plain : ipv6ToText(bytes);
}

/**
 * Which peers a tenant's clients may reach, in this order: the namespace's own SFUs; with public peers allowed, the
 * tenant's own relay block (two of its clients on one server); then the node's own addresses and every special range
 * are refused; then public unicast is allowed where the tenant allows it. Anything else is refused.
 */
export class PeerPolicy {
  readonly #sfuPorts = new Map<string, PortRange[]>();
  readonly #tenant: TurnTenant;
  readonly #ownAddresses: AddressSet;

  constructor(tenant: TurnTenant, ownAddresses: AddressSet) {
    this.#tenant = tenant;
    this.#ownAddresses = ownAddresses;
    for (const peer of tenant.peers) {
      const address = canonical(peer.ip);
      const ranges = this.#sfuPorts.get(address) ?? [];
      ranges.push({ start: peer.portStart, end: peer.portEnd });
      this.#sfuPorts.set(address, ranges);
    }
  }

  /** Judges an address as CreatePermission names it: without a port. */
  judge(address: string): PeerVerdict {
    const plain = canonical(address);
    const sfuPorts = this.#sfuPorts.get(plain);
    if (sfuPorts !== undefined) return { allowed: true, rule: 'peers', host: { address: plain, ports: sfuPorts } };

    const { relay, allowPublicPeers } = this.#tenant;
    if (allowPublicPeers && plain === canonical(relay.address)) {
      const ports = [{ start: relay.portStart, end: relay.portEnd }];
      return { allowed: true, rule: 'own-relay-block', host: { address: plain, ports } };
    }
    if (plain === canonical(relay.address) || this.#ownAddresses.has(plain)) {
      return { allowed: false, rule: 'own-address' };
    }
    const special = specialRangeOf(plain);
    if (special !== null) return { allowed: false, rule: special };
    if (allowPublicPeers) return { allowed: true, rule: 'public', host: { address: plain, ports: undefined } };
    return { allowed: false, rule: 'not-a-peer' };
  }

  /** Judges an address with its port, as ChannelBind names it. */
  judgeEndpoint(address: string, port: number): PeerVerdict {
    const verdict = this.judge(address);
    if (!verdict.allowed || verdict.host.ports === undefined) return verdict;
    const inRange = verdict.host.ports.some((range) => port >= range.start && port <= range.end);
    return inRange ? verdict : { allowed: false, rule: 'peer-port' };
  }
}
