import { BlockList, isIP } from 'node:net';

/** A named range of addresses. */
interface NamedRange {
  rule: string;
  cidrs: string[];
}

/**
 * Everything that is not public unicast, by name. Sources: RFC 6890 and the IANA special-purpose registries
 * (IPv4 and IPv6), RFC 6598 (CGNAT), RFC 4193 (ULA), RFC 5737 and 3849 and 9637 (documentation).
 * Cloud metadata comes before link-local, so that its refusals carry its own name.
 */
const SPECIAL_RANGES: NamedRange[] = [
  { rule: 'metadata', cidrs: ['169.254.169.254/32', 'fd00:ec2::254/128', '168.63.129.16/32', '100.100.100.200/32'] },
  { rule: 'this-network', cidrs: ['0.0.0.0/8', '::/128'] },
  { rule: 'loopback', cidrs: ['127.0.0.0/8', '::1/128'] },
  { rule: 'link-local', cidrs: ['169.254.0.0/16', 'fe80::/10'] },
  { rule: 'private', cidrs: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', 'fec0::/10'] },
  { rule: 'cgnat', cidrs: ['100.64.0.0/10'] },
  { rule: 'documentation', cidrs: ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20'] },
  { rule: 'benchmarking', cidrs: ['198.18.0.0/15', '2001:2::/48'] },
  { rule: 'protocol-assignments', cidrs: ['192.0.0.0/24', '2001::/23', '192.88.99.0/24'] },
  { rule: 'multicast', cidrs: ['224.0.0.0/4', 'ff00::/8'] },
  { rule: 'reserved', cidrs: ['240.0.0.0/4'] },
  // Forms of IPv6 that carry an IPv4 address: a peer must not reach through them what its IPv4 form is refused.
  // IPv4-mapped addresses (::ffff:0:0/96) are unmapped first and judged as what they carry.
  { rule: 'embedded-ipv4', cidrs: ['::/96', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16'] },
];

/** A set of addresses given as CIDRs or single addresses; IPv4 and IPv6. */
export class AddressSet {
  readonly #list = new BlockList();

  /** @throws Error when an entry is not an address or CIDR */
  constructor(entries: Iterable<string> = []) {
    for (const entry of entries) this.add(entry);
  }

  add(entry: string): void {
    const [address = '', prefix] = entry.split('/');
    const family = isIP(address);
    if (family === 0) throw new Error(`"${entry}" is not an IP address or CIDR`);
    const type = family === 4 ? 'ipv4' : 'ipv6';
    if (prefix === undefined) this.#list.addAddress(address, type);
    else this.#list.addSubnet(address, Number(prefix), type);
  }

  has(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }
}

const SPECIAL = SPECIAL_RANGES.map(({ rule, cidrs }) => ({ rule, set: new AddressSet(cidrs) }));

/** All global unicast of IPv6; outside of it are special addresses, and overlay networks that took some. */
const GLOBAL_IPV6 = new AddressSet(['2000::/3']);

/** The IPv4 address inside an IPv4-mapped IPv6 address (`::ffff:a.b.c.d` in any spelling), or the address itself. */
export function unmapIpv4(address: string): string {
  if (isIP(address) !== 6) return address;
  const groups = expandIpv6(address);
  if (groups.slice(0, 5).some((group) => group !== 0) || groups[5] !== 0xffff) return address;
  const [high = 0, low = 0] = groups.slice(6);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** The eight 16-bit groups of an IPv6 address. */
export function expandIpv6(address: string): number[] {
  const noZone = address.split('%')[0] ?? address;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(noZone);
  const text = dotted
    ? `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`
    : noZone;
  const [head = '', tail] = text.split('::');
  const parse = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const front = parse(head);
  if (tail === undefined) return front;
  const back = parse(tail);
  return [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
}

/** Ranges that no client on the internet can send to. Documentation addresses count as public: tests are made of them. */
const PRIVATE = new Set(['private', 'cgnat', 'benchmarking', 'reserved']);

/** The name of the range, where an address is of a private network or otherwise none that clients on the internet reach. */
export function privateRangeOf(address: string): string | null {
  const range = specialRangeOf(address);
  return range !== null && PRIVATE.has(range) ? range : null;
}

/**
 * The name of the special-purpose range that holds `address`, or null for public unicast.
 * IPv4-mapped forms answer for the IPv4 address inside; other embeddings are `embedded-ipv4`; the rest of IPv6 outside of
 * 2000::/3 is `unassigned`; not an address: `malformed`.
 */
export function specialRangeOf(address: string): string | null {
  if (isIP(address) === 0) return 'malformed';
  const plain = unmapIpv4(address);
  for (const { rule, set } of SPECIAL) if (set.has(plain)) return rule;
  return isIP(plain) === 6 && !GLOBAL_IPV6.has(plain) ? 'unassigned' : null;
}

/** `address:port`, with brackets around an IPv6 address. */
export function hostPort(address: string, port: number): string {
  return `${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
}

/** What limits per source count by: an IPv4 address, or the /64 that one IPv6 customer has. */
export function sourceKey(address: string): string {
  const plain = unmapIpv4(address);
  if (isIP(plain) !== 6) return plain;
  return `${expandIpv6(plain)
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}
