import { isIPv4 } from 'node:net';
import { expandIpv6, unmapIpv4 } from '@orama/core';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Version 2, a connection that is passed on. */
const VERSION_AND_COMMAND = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/** The two ends of a connection that is passed on. */
export interface ConnectionEnds {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** The header of the PROXY protocol, version 2, that tells a server behind us who the client is. */
export function proxyHeader(ends: ConnectionEnds): Buffer {
  const source = unmapIpv4(ends.remoteAddress);
  const target = unmapIpv4(ends.localAddress);
  const ipv4 = isIPv4(source) && isIPv4(target);
  const addresses = Buffer.concat([source, target].map(ipv4 ? ipv4Bytes : ipv6Bytes));
  const rest = Buffer.alloc(4);
  rest.writeUInt16BE(ends.remotePort, 0);
  rest.writeUInt16BE(ends.localPort, 2);
  const head = Buffer.from([VERSION_AND_COMMAND, ipv4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6, 0, addresses.length + 4]);
  return Buffer.concat([SIGNATURE, head, addresses, rest]);
}

function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

function ipv6Bytes(address: string): Buffer {
  const bytes = Buffer.alloc(16);
  for (const [index, group] of expandIpv6(address.replace(/%.*$/, '')).entries()) bytes.writeUInt16BE(group, 2 * index);
  return bytes;
}
