import { type Answer, encode } from 'dns-packet';

const HEADER_BYTES = 12;

/** A host name as it goes over the wire, uncompressed. */
export function nameBytes(name: string): Buffer {
  const bytes = encode({ questions: [{ name, type: 'A' }] });
  return bytes.subarray(HEADER_BYTES, bytes.length - 4);
}

/** A record from its type on: type, class, TTL, length, data. */
export function recordBytes(record: Exclude<Answer, { type: 'OPT' }>): Buffer {
  return encode({ answers: [{ ...record, name: '.' }] }).subarray(HEADER_BYTES + 1);
}
