import { expandIpv6 } from '@orama/core';
import { operatorHost } from '@orama/protocol';
import type { DnsRecord } from './writer.ts';

/** All addresses of one name and family, as a zone has them. */
export interface AddressSet {
  /** In lower case, without the trailing dot. */
  name: string;
  type: 'A' | 'AAAA';
  ttlSec: number;
  values: readonly string[];
}

/** A zone as it was read. */
export interface ZoneSeen {
  addresses: readonly AddressSet[];
  /** Names, in lower case, whose addresses are somebody else's whatever they look like, and what each is. */
  taken: ReadonlyMap<string, string>;
}

/** What makes a zone what it has to be. */
export interface ZoneChanges {
  /** Sets in place of whatever is there by their name and type. */
  replace: AddressSet[];
  /** Sets that go. */
  remove: AddressSet[];
}

export interface ZonePlan extends ZoneChanges {
  replace: (AddressSet & { former: readonly string[] })[];
  /** What is wanted and cannot be, by name: another record is in its place. */
  refused: ReadonlyMap<string, string>;
  /** The cluster's own name where it is wanted and somebody else has it, and what it is there. */
  left: { name: string; what: string } | null;
}

/** What a record makes of a name that others use. */
export const TAKEN_BY = {
  NS: 'the name of a nameserver (NS)',
  MX: 'the name of a mail server (MX)',
  CNAME: 'an alias (CNAME)',
  ALIAS: 'an alias (ALIAS)',
  DELEGATION: 'delegated to other nameservers (NS)',
} as const;

/**
 * The steps from what a zone has to the records that it has to have. Only addresses of names that are ours are looked at: those
 * of the records, and `ns-<namespace>` and `turn.ns-<namespace>` below the base domain, unless a server of the zone has that
 * name: `ns-1` is a common one. All else in the zone belongs to others. So does `api`, commoner still, unless it leads to nodes
 * of ours alone. Pure.
 * @param nodeAddresses the public addresses of all nodes
 */
export function planZone(
  { addresses, taken }: ZoneSeen,
  records: readonly DnsRecord[],
  baseDomain: string,
  nodeAddresses: Iterable<string>,
): ZonePlan {
  const wanted = setsOf(records);
  const names = new Set([...wanted.values()].map(({ name }) => name));
  const there = new Map(addresses.map((set) => [keyOf(set), set]));
  const different = [...wanted.values()].filter((set) => {
    const known = there.get(keyOf(set));
    return known?.ttlSec !== set.ttlSec || contentOf(known) !== contentOf(set);
  });
  const own = operatorHost(baseDomain.toLowerCase());
  const others = names.has(own) ? (taken.get(own) ?? foreignAddresses(own, addresses, nodeAddresses)) : null;
  const isOurs = (name: string) => !taken.has(name) && (name !== own || others === null);
  return {
    replace: different
      .filter(({ name }) => isOurs(name))
      .map((set) => ({ ...set, former: there.get(keyOf(set))?.values ?? [] })),
    remove: addresses.filter(
      (set) =>
        (names.has(set.name) || isOfNamespace(set.name, baseDomain)) && !wanted.has(keyOf(set)) && isOurs(set.name),
    ),
    refused: new Map(
      different.flatMap(({ name }) => (taken.has(name) && name !== own ? [[name, taken.get(name) ?? '']] : [])),
    ),
    left: others === null ? null : { name: own, what: others },
  };
}

/** What a name is whose addresses are not all of our nodes; null where they are, and where it has none. */
function foreignAddresses(
  name: string,
  addresses: readonly AddressSet[],
  nodeAddresses: Iterable<string>,
): string | null {
  const ours = new Set([...nodeAddresses].map(plain));
  const there = addresses.filter((set) => set.name === name);
  // One without values is of an operator who has disabled them, for a while.
  if (there.every(({ values }) => values.length > 0 && values.every((value) => ours.has(plain(value))))) return null;
  const values = there.flatMap((set) => set.values).sort();
  return `somebody else's (${values.join(', ') || 'disabled'})`;
}

function setsOf(records: readonly DnsRecord[]): Map<string, AddressSet> {
  const sets = new Map<string, AddressSet & { values: string[] }>();
  for (const { fqdn, type, value, ttlSec } of records) {
    if (type === 'TXT') continue;
    const set = { name: fqdn.toLowerCase(), type, ttlSec, values: [value] };
    const known = sets.get(keyOf(set));
    if (known) known.values.push(value);
    else sets.set(keyOf(set), set);
  }
  return sets;
}

function isOfNamespace(name: string, baseDomain: string): boolean {
  const suffix = `.${baseDomain.toLowerCase()}`;
  return (
    name.endsWith(suffix) && /^(turn\.)?ns-[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/.test(name.slice(0, -suffix.length))
  );
}

function keyOf({ name, type }: AddressSet): string {
  return `${name} ${type}`;
}

/** The same for all spellings of the same addresses. */
function contentOf({ values }: AddressSet): string {
  return [...new Set(values.map(plain))].sort().join(' ');
}

function plain(address: string): string {
  return address.includes(':') ? expandIpv6(address).join(':') : address;
}
