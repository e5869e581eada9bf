import { CLASS_IN, DNSSEC_OK, Flag, HEADER_BYTES, type RcodeName, Type } from './wire.ts';

const MAX_LABEL_BYTES = 63;
const MAX_NAME_BYTES = 255;
/** More than an OPT record and a signature has no query. */
const MAX_ADDITIONALS = 4;

/** What a client says of itself by EDNS (RFC 6891). */
interface Edns {
  /** The largest answer it takes over UDP. */
  readonly size: number;
  readonly dnssecOk: boolean;
}

/** A question, or what is wrong with it: `fault` is answered as it is. */
export interface Query {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  /** The question as it was asked, byte for byte, since clients compare its case; empty when it cannot be read. */
  readonly question: Buffer;
  /** Labels of the name with their lengths, ASCII in lower case: what a zone looks names up by. */
  readonly key: string;
  /** Where each label of the key begins. */
  readonly labels: readonly number[];
  readonly type: number;
  readonly edns: Edns | null;
  readonly fault: RcodeName | null;
}

const NO_QUESTION = Buffer.alloc(0);

/**
 * Reads a message as a query. Total: every sequence of bytes gives a query, one with a fault, or null for what must not be
 * answered at all (a response, or less than a header). Names are kept as bytes: one with a dot inside of a label or with
 * bytes that are no text is not taken for another. It reads each byte at most once, as compressed names are refused.
 */
export function readQuery(bytes: Buffer): Query | null {
  if (bytes.length < HEADER_BYTES) return null;
  const flags = bytes.readUInt16BE(2);
  if (flags & Flag.QR) return null;
  const header = {
    id: bytes.readUInt16BE(0),
    opcode: (flags >> 11) & 15,
    recursionDesired: (flags & Flag.RD) !== 0,
    question: NO_QUESTION,
    key: '',
    labels: [],
    type: 0,
    edns: null,
  };
  if (header.opcode !== 0) return { ...header, fault: 'NOTIMP' };
  const counts = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  const [questions, answers, authorities, additionals = 0] = counts;
  if (questions !== 1 || answers !== 0 || authorities !== 0) return { ...header, fault: 'FORMERR' };
  const name = readName(bytes, HEADER_BYTES);
  if (!name || name.end + 4 > bytes.length) return { ...header, fault: 'FORMERR' };
  const end = name.end + 4;
  const asked = {
    ...header,
    question: bytes.subarray(HEADER_BYTES, end),
    key: lowerCase(bytes.toString('latin1', HEADER_BYTES, name.end)),
    labels: name.labels,
    type: bytes.readUInt16BE(name.end),
  };
  if (asked.type === Type.OPT) return { ...asked, fault: 'FORMERR' };
  const options = readAdditionals(bytes, end, additionals);
  if (!options) return { ...asked, fault: 'FORMERR' };
  const { edns, version } = options;
  if (version > 0) return { ...asked, edns, fault: 'BADVERS' };
  const isOurs = bytes.readUInt16BE(name.end + 2) === CLASS_IN;
  return { ...asked, edns, fault: isOurs ? null : 'REFUSED' };
}

/** ASCII letters only (RFC 4343); of other bytes nobody knows the alphabet. */
export function lowerCase(key: string): string {
  return key.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** A name without pointers: where it ends, and where its labels begin, counted from its start. */
function readName(bytes: Buffer, start: number): { end: number; labels: number[] } | null {
  const labels: number[] = [];
  for (let at = start; at < bytes.length && at - start < MAX_NAME_BYTES; ) {
    const length = bytes[at] ?? 0;
    if (length === 0) return { end: at + 1, labels };
    if (length > MAX_LABEL_BYTES) return null;
    labels.push(at - start);
    at += 1 + length;
  }
  return null;
}

/** What follows the question: an OPT record at most, others are passed over; null when it is malformed. */
function readAdditionals(bytes: Buffer, start: number, count: number): { edns: Edns | null; version: number } | null {
  if (count > MAX_ADDITIONALS) return null;
  let edns: Edns | null = null;
  let version = 0;
  let at = start;
  for (let index = 0; index < count; index += 1) {
    const name = readName(bytes, at);
    if (!name || name.end + 10 > bytes.length) return null;
    const fixed = name.end;
    at = fixed + 10 + bytes.readUInt16BE(fixed + 8);
    if (at > bytes.length) return null;
    if (bytes.readUInt16BE(fixed) !== Type.OPT) continue;
    // One at most, and it belongs to the root (RFC 6891 section 6.1.1). Its options are all unknown here.
    if (edns || name.labels.length > 0) return null;
    edns = {
      size: bytes.readUInt16BE(fixed + 2),
      dnssecOk: (bytes.readUInt16BE(fixed + 6) & DNSSEC_OK) !== 0,
    };
    version = bytes[fixed + 5] ?? 0;
  }
  return at === bytes.length ? { edns, version } : null;
}
