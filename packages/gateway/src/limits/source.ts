import { isIP } from 'node:net';
import { type AddressSet, unmapIpv4 } from '@orama/core';

/** More hops than this in X-Forwarded-For are not looked at. */
const MAX_HOPS = 16;

/**
 * The address a request comes from: the socket's, or, when that is a trusted proxy, the last address in
 * X-Forwarded-For that is not one.
 */
export function sourceAddress(
  socketAddress: string | undefined,
  forwardedFor: string | string[] | undefined,
  trustedProxies: AddressSet,
): string {
  let source = unmapIpv4(socketAddress ?? '');
  const hops = [forwardedFor ?? []].flat().join(',').split(',').slice(-MAX_HOPS).reverse();
  for (const hop of hops) {
    if (!trustedProxies.has(source)) break;
    const address = unmapIpv4(hop.trim());
    if (isIP(address) === 0) break;
    source = address;
  }
  return source;
}
