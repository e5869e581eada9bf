import { expandIpv6 } from '@orama/core';
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
  /** What is wanted and cannot be, by name: another record is in its place. */
  refused: ReadonlyMap<string, string>;
}

/** What a record makes of a name that others use. */
export const TAKEN_BY = {
  NS: 'the name of a nameserver (NS)',
  MX: 'the name of a mail server (MX)',
  CNAME: 'an alias (CNAME)',
} as const;

/**
 * The steps from what a zone has to the records that it has to have. Only addresses of names that are ours are looked at: those
 * of the records, and `ns-<namespace>` and `turn.ns-<namespace>` below the base domain, unless a server of the zone has that
 * name: `ns-1` is a common one. All else in the zone belongs to others. Pure.
 */
export function planZone({ addresses, taken }: ZoneSeen, records: readonly DnsRecord[], baseDomain: string): ZonePlan {
  const wanted = setsOf(records);
  const names = new Set([...wanted.values()].map(({ name }) => name));
  const there = new Map(addresses.map((set) => [keyOf(set), set]));
  const different = [...wanted.values()].filter((set) => {
    const known = there.get(keyOf(set));
    return known?.ttlSec !== set.ttlSec || contentOf(known) !== contentOf(set);
  });
  return {
    replace: different.filter(({ name }) => !taken.has(name)),
    remove: addresses.filter(
      (set) =>
        (names.has(set.name) || isOfNamespace(set.name, baseDomain)) && !wanted.has(keyOf(set)) && !taken.has(set.name),
    ),
    refused: new Map(different.flatMap(({ name }) => (taken.has(name) ? [[name, taken.get(name) ?? '']] : []))),
  };
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
function contentOf({ type, values }: AddressSet): string {
  const plain = type === 'A' ? values : values.map((value) => expandIpv6(value).join(':'));
  return [...new Set(plain)].sort().join(' ');
}
