/** The version of IP. */
export type AddressFamily = 4 | 6;

/** An IP address and port as STUN carries it. `address` is dotted IPv4 or RFC 5952 IPv6 text. */
export interface TransportAddress {
  readonly family: AddressFamily;
  readonly address: string;
  readonly port: number;
}

/** The fixed second word of every STUN header (RFC 8489 section 5). */
export const MAGIC_COOKIE = 0x2112a442;

const FAMILY_IPV4 = 0x01;
const FAMILY_IPV6 = 0x02;
const ZERO = 48;
const DOT = 46;

/** Dotted IPv4 text to an unsigned 32-bit number, or -1 when the text is anything else. Allocates nothing. */
export function ipv4ToNumber(text: string): number {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (octet < 0 || ++dots > 3) return -1;
      value = value * 256 + octet;
      octet = -1;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9 || octet === 0) return -1;
    octet = octet < 0 ? digit : octet * 10 + digit;
    if (octet > 255) return -1;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

/** The family of a text that is known to be an address. */
export function familyOf(address: string): AddressFamily {
  return address.includes(':') ? 6 : 4;
}

/** Unsigned 32-bit number to dotted IPv4 text. */
export function ipv4ToText(ip: number): string {
  return `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`;
}

/**
 * The key a host is looked up by: a number for IPv4, the text for IPv6.
 * Numbers are what the packet path works with; text exists only where no number can.
 */
export function hostKey(address: string): number | string {
  const ip = ipv4ToNumber(address);
  return ip < 0 ? address : ip;
}

/** The key of a host, named by its `hostKey`, and a port: `ip * 65536 + port` for IPv4 (a safe integer), text for IPv6. */
export function endpointKey(host: number | string, port: number): number | string {
  return typeof host === 'number' ? host * 65536 + port : `${host}|${port}`;
}

/** Sixteen bytes to RFC 5952 text: lower case, the longest run of zero groups (two or more) shortened. */
export function ipv6ToText(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  let bestStart = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      bestStart = i;
      bestLength = end - i;
    }
    if (end > i) i = end;
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (bestStart < 0) return hex(groups);
  return `${hex(groups.slice(0, bestStart))}::${hex(groups.slice(bestStart + bestLength))}`;
}

/** IPv6 text (with `::` and an embedded IPv4 tail allowed) to sixteen bytes, or undefined when it is not IPv6. */
export function ipv6ToBytes(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '');
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '') : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const bytes = new Uint8Array(16);
  [...head, ...new Array<number>(missing).fill(0), ...tail].forEach((group, index) => {
    bytes[index * 2] = group >> 8;
    bytes[index * 2 + 1] = group & 255;
  });
  return bytes;
}

/** An address in the one spelling that texts can be compared by: IPv6 shortened, everything else as it is. */
export function canonicalAddress(address: string): string {
  const bytes = ipv6ToBytes(address);
  return bytes === undefined ? address : ipv6ToText(bytes);
}

function parseGroups(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    const ipv4 = index === parts.length - 1 ? ipv4ToNumber(part) : -1;
    if (ipv4 >= 0) groups.push(ipv4 >>> 16, ipv4 & 0xffff);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/**
 * Decodes the value of an XOR-...-ADDRESS attribute (RFC 8489 section 14.2).
 * `offset` points at the value inside a whole STUN message, whose bytes 4-19 are the mask.
 * Returns undefined for an unknown family or a wrong length.
 */
export function readXorAddress(message: Buffer, offset: number, length: number): TransportAddress | undefined {
  if (length < 4) return undefined;
  const family = message[offset + 1];
  const port = message.readUInt16BE(offset + 2) ^ (MAGIC_COOKIE >>> 16);
  if (family === FAMILY_IPV4 && length === 8) {
    return { family: 4, address: ipv4ToText((message.readUInt32BE(offset + 4) ^ MAGIC_COOKIE) >>> 0), port };
  }
  if (family === FAMILY_IPV6 && length === 20) {
    const bytes = new Uint8Array(16);
    for (let i = 0; i < 16; i++) bytes[i] = (message[offset + 4 + i] ?? 0) ^ (message[4 + i] ?? 0);
    return { family: 6, address: ipv6ToText(bytes), port };
  }
  return undefined;
}

/**
 * Encodes the value of an XOR-...-ADDRESS attribute at `offset` of `message`, whose header is already written.
 * Returns the number of bytes written (8 or 20). Throws a RangeError when `address` is not an address.
 */
export function writeXorAddress(message: Buffer, offset: number, address: string, port: number): number {
  message[offset] = 0;
  message.writeUInt16BE(port ^ (MAGIC_COOKIE >>> 16), offset + 2);
  const ipv4 = ipv4ToNumber(address);
  if (ipv4 >= 0) {
    message[offset + 1] = FAMILY_IPV4;
    message.writeUInt32BE((ipv4 ^ MAGIC_COOKIE) >>> 0, offset + 4);
    return 8;
  }
  const bytes = ipv6ToBytes(address);
  if (bytes === undefined) throw new RangeError(`not an IP address: ${address}`);
  message[offset + 1] = FAMILY_IPV6;
  for (let i = 0; i < 16; i++) message[offset + 4 + i] = (bytes[i] ?? 0) ^ (message[4 + i] ?? 0);
  return 20;
}

/** Decodes the value of an address attribute that is not masked, such as ALTERNATE-SERVER (RFC 8489 section 14.1). */
export function readPlainAddress(value: Buffer): TransportAddress | undefined {
  const [family, port] = [value[1], value.length < 4 ? 0 : value.readUInt16BE(2)];
  if (family === FAMILY_IPV4 && value.length === 8) {
    return { family: 4, address: ipv4ToText(value.readUInt32BE(4)), port };
  }
  if (family === FAMILY_IPV6 && value.length === 20) return { family: 6, address: ipv6ToText(value.subarray(4)), port };
  return undefined;
}

/** Encodes an address without a mask; otherwise as `writeXorAddress`. */
export function writePlainAddress(message: Buffer, offset: number, address: string, port: number): number {
  const ipv6 = ipv4ToNumber(address) < 0;
  message.writeUInt16BE(ipv6 ? FAMILY_IPV6 : FAMILY_IPV4, offset);
  message.writeUInt16BE(port, offset + 2);
  if (!ipv6) {
    message.writeUInt32BE(ipv4ToNumber(address), offset + 4);
    return 8;
  }
  const bytes = ipv6ToBytes(address);
  if (bytes === undefined) throw new RangeError(`not an IP address: ${address}`);
  message.set(bytes, offset + 4);
  return 20;
}
