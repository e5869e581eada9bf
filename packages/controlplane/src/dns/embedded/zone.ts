import type { Answer } from 'dns-packet';
import { nameBytes, recordBytes } from '../record-bytes.ts';
import { txtStrings } from '../txt.ts';
import { addressType, type DnsRecord } from '../writer.ts';
import { lowerCase } from './query.ts';
import { Type } from './wire.ts';

/** Names of servers seldom change, and they are asked for with every walk down from the parent zone. */
const NS_TTL_SEC = 3600;
const SOA_TTL_SEC = 60;
/** How long a resolver may remember that something is not there (RFC 2308): an enabled namespace is seen after that. */
const NEGATIVE_TTL_SEC = 30;
const REFRESH_SEC = 3600;
const RETRY_SEC = 600;
const EXPIRE_SEC = 604_800;

/** A server that the zone names as its own. */
export interface Nameserver {
  /** Host name without the trailing dot. */
  name: string;
  /** Its addresses; only looked at when the name lies in the zone. */
  addresses: readonly string[];
}

export interface ZoneContent {
  /** The apex. */
  baseDomain: string;
  serial: number;
  /** The first is the primary of the SOA record. Not empty. */
  nameservers: readonly Nameserver[];
  /** Mail address of who is responsible, written as a name (RFC 1035 section 3.3.13). */
  contact: string;
  records: readonly DnsRecord[];
}

/** Records of one name and type, each from its type on: type, class, TTL, length, data. */
export type RecordSet = readonly Buffer[];

/** A zone as it is answered from. Immutable. */
export interface Zone {
  readonly serial: number;
  /** The name's key, as in `Query.key`. */
  readonly apex: string;
  /** By key; an empty non-terminal has no types. */
  readonly names: ReadonlyMap<string, ReadonlyMap<number, RecordSet>>;
  /** The SOA record with the TTL of a negative answer. */
  readonly negative: Buffer;
  /** Addresses of the servers whose names lie in the zone, with their owner names, for the additional section. */
  readonly glue: readonly Buffer[];
}

/** Builds the zone. @throws Error when the configuration names something that no DNS name can say */
export function buildZone({ baseDomain, serial, nameservers, contact, records }: ZoneContent): Zone {
  const apex = keyOf(baseDomain);
  const names = new Map<string, Map<number, Buffer[]>>();
  const add = (record: Exclude<Answer, { type: 'OPT' }>): Buffer | null => {
    const key = keyOf(record.name);
    if (key !== apex && !isBelow(key, apex)) return null;
    const bytes = recordBytes(record);
    const types = nodeOf(names, key, apex);
    const type = bytes.readUInt16BE(0);
    const set = types.get(type);
    if (set?.some((one) => one.equals(bytes))) return null;
    if (set) set.push(bytes);
    else types.set(type, [bytes]);
    return bytes;
  };
  const soa = {
    mname: nameservers[0]?.name ?? baseDomain,
    rname: contact,
    serial,
    refresh: REFRESH_SEC,
    retry: RETRY_SEC,
    expire: EXPIRE_SEC,
    minimum: NEGATIVE_TTL_SEC,
  };
  add({ name: baseDomain, type: 'SOA', ttl: SOA_TTL_SEC, data: soa });
  const glue: Buffer[] = [];
  for (const { name, addresses } of nameservers) {
    add({ name: baseDomain, type: 'NS', ttl: NS_TTL_SEC, data: name });
    for (const address of addresses) {
      const bytes = add({ name, type: addressType(address), ttl: NS_TTL_SEC, data: address });
      if (bytes) glue.push(Buffer.concat([nameBytes(name), bytes]));
    }
  }
  for (const { fqdn, type, value, ttlSec } of records) {
    const base = { name: fqdn, ttl: ttlSec };
    if (type === 'TXT') add({ ...base, type, data: txtStrings(value) });
    else add({ ...base, type, data: value });
  }
  const negative = recordBytes({ name: baseDomain, type: 'SOA', ttl: NEGATIVE_TTL_SEC, data: soa });
  return { serial, apex, names, negative, glue };
}

/** A name in the form that zones are looked up by. */
function keyOf(name: string): string {
  return lowerCase(nameBytes(name).toString('latin1'));
}

/** The node of a name; it and all between it and the apex exist from now on (RFC 4592 section 2.2.2). */
function nodeOf(names: Map<string, Map<number, Buffer[]>>, key: string, apex: string): Map<number, Buffer[]> {
  const known = names.get(key);
  if (known) return known;
  const node = new Map<number, Buffer[]>();
  names.set(key, node);
  if (key !== apex) nodeOf(names, key.slice(1 + key.charCodeAt(0)), apex);
  return node;
}

function isBelow(key: string, apex: string): boolean {
  for (let at = 0; key.charCodeAt(at) > 0; at += 1 + key.charCodeAt(at)) if (key.slice(at) === apex) return true;
  return false;
}

/** The types whose records are small enough to stand for all of a name (RFC 8482 section 4.1). */
export const ANY_ORDER = [Type.A, Type.AAAA, Type.SOA, Type.NS, Type.TXT] as const;
