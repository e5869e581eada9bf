import { type AddressSet, specialRangeOf, unmapIpv4 } from '@orama/core';
import type { TurnTenant } from '@orama/protocol';
import { BoundPorts, type PortSet } from '../relay/bound-ports.ts';
import { holdsPort, type PermittedHost, type PortRange } from '../relay/relay.ts';
import { canonicalAddress, familyOf, type TransportAddress } from '../stun/index.ts';

/** Rules that allow a peer, in the order they are asked. */
type AllowingRule = 'peers' | 'self' | 'own-relay-block' | 'public';

/** What the policy says about a peer address: the rule that decided and, when allowed, the host to permit. */
export type PeerVerdict =
  | { readonly allowed: true; readonly rule: AllowingRule; readonly host: PermittedHost }
  | { readonly allowed: false; readonly rule: string };

/** Ports of a host (undefined: all of them) that a rule allows. */
interface Grant {
  readonly rule: AllowingRule;
  readonly ports: readonly PortRange[] | undefined;
}

/** Public address by local address, where a node sits behind 1:1 NAT. */
export type ExternalAddresses = Readonly<Record<string, string>>;

/** An address in the one spelling that texts are compared by: IPv4 unmapped, IPv6 shortened. */
function canonical(address: string): string {
  return canonicalAddress(unmapIpv4(address));
}

/**
 * Which peers a tenant's clients may reach, by named rules. Allowed, in this order: `peers`, the namespace's own SFUs;
 * `self`, the allocation's own relayed address and port; `own-relay-block`, with public peers, the ports that the
 * tenant's other clients have on this server now; `public`, with public peers, public unicast. Refused: `own-address`,
 * addresses of this node; every special range by its name; `not-a-peer`; `peer-port`, a port no rule allows;
 * `unbound-relay-port`, one of the tenant's block that none of its clients has now; `no-relay-address`, a peer of a family
 * that the tenant has no relay address of. Peers are judged in their unmapped form.
 */
export class PeerPolicy {
  readonly #sfuPorts = new Map<string, PortRange[]>();
  readonly #relay: TurnTenant['relay'];
  readonly #allowPublicPeers: boolean;
  readonly #ownAddresses: AddressSet;
  /** The tenant's relay addresses by what clients know them as. */
  readonly #localByTold: ReadonlyMap<string, string>;
  /** Ports that relay sockets are bound to now, by the same. */
  readonly #boundByTold: ReadonlyMap<string, PortSet>;
  /** All of its relay addresses. */
  readonly #relayAddresses: readonly string[];

  /** @param boundPorts ports that this node's relay has now */
  constructor(
    tenant: TurnTenant,
    ownAddresses: AddressSet,
    external: ExternalAddresses = {},
    boundPorts = new BoundPorts(),
  ) {
    const { relay } = tenant;
    this.#relay = relay;
    this.#allowPublicPeers = tenant.allowPublicPeers;
    this.#ownAddresses = ownAddresses;
    const local = [relay.address, relay.address6].filter((address) => address !== undefined);
    const told = (address: string) => canonical(external[address] ?? address);
    this.#localByTold = new Map(local.map((address) => [told(address), canonical(address)]));
    this.#boundByTold = new Map(local.map((address) => [told(address), boundPorts.at(address)]));
    const all = relay.innerAddress === undefined ? local : [...local, relay.innerAddress];
    this.#relayAddresses = [...all.map(canonical), ...this.#localByTold.keys()];
    for (const peer of tenant.peers) {
      const address = canonical(peer.ip);
      const ranges = this.#sfuPorts.get(address) ?? [];
      ranges.push({ start: peer.portStart, end: peer.portEnd });
      this.#sfuPorts.set(address, ranges);
    }
  }

  /**
   * Judges an address as CreatePermission names it: without a port.
   * @param own relayed addresses of the allocation that asks, as its client knows them
   */
  judge(address: string, own: readonly TransportAddress[] = []): PeerVerdict {
    return this.#decide(canonical(address), this.#grants(canonical(address), own));
  }

  /** Judges an address with its port, as ChannelBind names it. */
  judgeEndpoint(address: string, port: number, own: readonly TransportAddress[] = []): PeerVerdict {
    const plain = canonical(address);
    const grants = this.#grants(plain, own);
    const verdict = this.#decide(plain, grants);
    if (!verdict.allowed) return verdict;
    const grant = grants.find(({ ports }) => holdsPort(ports, port));
    if (grant !== undefined) return { ...verdict, rule: grant.rule };
    const unbound = grants.some(({ ports }) => ports?.some(({ start, end }) => port >= start && port <= end));
    return { allowed: false, rule: unbound ? 'unbound-relay-port' : 'peer-port' };
  }

  /** What the rules allow of a host, in their order. */
  #grants(plain: string, own: readonly TransportAddress[]): Grant[] {
    const grants: Grant[] = [];
    const sfuPorts = this.#sfuPorts.get(plain);
    if (sfuPorts !== undefined) grants.push({ rule: 'peers', ports: sfuPorts });
    for (const { address, port } of own) {
      if (canonical(address) === plain) grants.push({ rule: 'self', ports: [{ start: port, end: port }] });
    }
    if (!this.#allowPublicPeers) return grants;
    const only = this.#boundByTold.get(plain);
    if (only !== undefined) {
      const { portStart: start, portEnd: end } = this.#relay;
      grants.push({ rule: 'own-relay-block', ports: [{ start, end, only }] });
    } else if (sfuPorts === undefined && !this.#isOwn(plain) && specialRangeOf(plain) === null) {
      grants.push({ rule: 'public', ports: undefined });
    }
    return grants;
  }

  #decide(plain: string, grants: readonly Grant[]): PeerVerdict {
    const [first] = grants;
    if (first === undefined) return { allowed: false, rule: this.#refusal(plain) };
    const source = this.#source(plain);
    if (source === undefined) return { allowed: false, rule: 'no-relay-address' };
    const ports = grants.every((grant) => grant.ports !== undefined)
      ? grants.flatMap((grant) => grant.ports ?? [])
      : undefined;
    const host = { address: plain, ports, source };
    // Behind 1:1 NAT our own relay addresses are reached without going out: few NATs bring such a packet back.
    const reach = this.#localByTold.get(plain);
    const outside = reach === undefined || reach === plain;
    return { allowed: true, rule: first.rule, host: outside ? host : { ...host, reach } };
  }

  #refusal(plain: string): string {
    return this.#isOwn(plain) ? 'own-address' : (specialRangeOf(plain) ?? 'not-a-peer');
  }

  #isOwn(plain: string): boolean {
    return this.#relayAddresses.includes(plain) || this.#ownAddresses.has(plain);
  }

  /** The relay address that a host is reached from: the inner one for the namespace's own peers. */
  #source(plain: string): string | undefined {
    const { address, address6, innerAddress } = this.#relay;
    const family = familyOf(plain);
    const inner = innerAddress !== undefined && familyOf(innerAddress) === family && this.#sfuPorts.has(plain);
    if (inner && !this.#localByTold.has(plain)) return innerAddress;
    return [address, address6].find((own) => own !== undefined && familyOf(own) === family);
  }
}
