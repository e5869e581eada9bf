import { type Query, readQuery } from './query.ts';
import { DNSSEC_OK, Flag, HEADER_BYTES, Rcode, type RcodeName, Type } from './wire.ts';
import { ANY_ORDER, type RecordSet, type Zone } from './zone.ts';

/** The largest answer over UDP: what passes every path without fragments (RFC 9715), and what is told by EDNS. */
const MAX_UDP_BYTES = 1232;
/** What a client takes that knows no EDNS (RFC 1035 section 4.2.1). */
const PLAIN_UDP_BYTES = 512;
const POINTER = 0xc000;

export interface Reply {
  bytes: Buffer;
  rcode: RcodeName;
  /** Whether records were left out. */
  truncated: boolean;
}

/** What is said of a question: the sections, each record with its owner. */
interface Sections {
  rcode: RcodeName;
  answers: readonly Buffer[];
  authorities: readonly Buffer[];
  /** Left out where there is no room. */
  additionals: readonly Buffer[];
}

/**
 * The answer to a message, or null when it must not be answered. Total, and pure. Over UDP it is no longer than the client
 * takes; what does not fit is left to TCP by TC and an answer without records. Never recursive.
 * @param zone null while nothing is known yet, which is SERVFAIL
 */
export function answer(message: Buffer, zone: Zone | null, transport: 'udp' | 'tcp'): Reply | null {
  const query = readQuery(message);
  if (!query) return null;
  const { rcode, answers, authorities, additionals } = find(query, zone);
  const limit = transport === 'tcp' ? 65_535 : udpLimit(query);
  const isOurs = rcode === 'NOERROR' || rcode === 'NXDOMAIN';
  const flags = isOurs ? Flag.AA : 0;
  const sections = { flags, answers, authorities };
  const whole = compose(query, rcode, { ...sections, additionals });
  if (whole.length <= limit) return { bytes: whole, rcode, truncated: false };
  const bare = compose(query, rcode, { ...sections, additionals: [] });
  if (bare.length <= limit) return { bytes: bare, rcode, truncated: false };
  return { bytes: truncate(query, rcode, flags), rcode, truncated: true };
}

/**
 * An answer that says only that TCP has the whole one: never longer than the question, so that it is no use to somebody who
 * asks in another's name. Null when the message must not be answered.
 */
export function slip(message: Buffer): Reply | null {
  const query = readQuery(message);
  return query && { bytes: truncate({ ...query, edns: null }, 'NOERROR', 0), rcode: 'NOERROR', truncated: true };
}

function find(query: Query, zone: Zone | null): Sections {
  const nothing = { answers: [], authorities: [], additionals: [] };
  if (query.fault) return { ...nothing, rcode: query.fault };
  if (query.type === Type.AXFR || query.type === Type.IXFR) return { ...nothing, rcode: 'REFUSED' };
  if (!zone) return { ...nothing, rcode: 'SERVFAIL' };
  const apexAt = query.labels.find((at) => query.key.slice(at) === zone.apex);
  if (apexAt === undefined) return { ...nothing, rcode: 'REFUSED' };
  const types = zone.names.get(query.key);
  const authorities = [owned(HEADER_BYTES + apexAt, zone.negative)];
  if (!types) return { ...nothing, rcode: 'NXDOMAIN', authorities };
  const set = query.type === Type.ANY ? smallest(types) : types.get(query.type);
  if (!set) return { ...nothing, rcode: 'NOERROR', authorities };
  const answers = rotated(set, query.id).map((record) => owned(HEADER_BYTES, record));
  return { ...nothing, rcode: 'NOERROR', answers, additionals: query.type === Type.NS ? zone.glue : [] };
}

/** One set stands for all (RFC 8482 section 4.1). */
function smallest(types: ReadonlyMap<number, RecordSet>): RecordSet | undefined {
  const type = ANY_ORDER.find((one) => types.has(one));
  return type === undefined ? undefined : types.get(type);
}

/** Who takes the first of several addresses is led to another with another query. */
function rotated(set: RecordSet, turn: number): RecordSet {
  const start = turn % set.length;
  return start === 0 ? set : [...set.slice(start), ...set.slice(0, start)];
}

/** A record whose owner is the name at `at` of the message. */
function owned(at: number, record: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(2 + record.length);
  bytes.writeUInt16BE(POINTER | at, 0);
  record.copy(bytes, 2);
  return bytes;
}

function udpLimit({ edns }: Query): number {
  return edns ? Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, edns.size)) : PLAIN_UDP_BYTES;
}

function truncate(query: Query, rcode: RcodeName, flags: number): Buffer {
  return compose(query, rcode, { flags: flags | Flag.TC, answers: [], authorities: [], additionals: [] });
}

function compose(
  query: Query,
  rcode: RcodeName,
  { flags, answers, authorities, additionals }: Omit<Sections, 'rcode'> & { flags: number },
): Buffer {
  const opt = query.edns ? [optRecord(rcode, query.edns.dnssecOk)] : [];
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(query.id, 0);
  const asked = (query.opcode << 11) | (query.recursionDesired ? Flag.RD : 0);
  header.writeUInt16BE(Flag.QR | asked | flags | (Rcode[rcode] & 15), 2);
  header.writeUInt16BE(query.question.length > 0 ? 1 : 0, 4);
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt16BE(authorities.length, 8);
  header.writeUInt16BE(additionals.length + opt.length, 10);
  return Buffer.concat([header, query.question, ...answers, ...authorities, ...additionals, ...opt]);
}

/** RFC 6891 section 6.1.2, without options. DO is said back (RFC 3225), though nothing here is signed. */
function optRecord(rcode: RcodeName, dnssecOk: boolean): Buffer {
  const bytes = Buffer.alloc(11);
  bytes.writeUInt16BE(Type.OPT, 1);
  bytes.writeUInt16BE(MAX_UDP_BYTES, 3);
  bytes[5] = Rcode[rcode] >> 4;
  bytes.writeUInt16BE(dnssecOk ? DNSSEC_OK : 0, 7);
  return bytes;
}
