import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { ClusterFacts } from '@orama/protocol';

/** What the looks from outside have in common. */

const AT_ONCE = 6;
/** Any will do: nothing is sent. */
const DISCARD_PORT = 9;

/** Where clients reach a node. */
export function addressesOf({ nodes }: ClusterFacts, node: string): string[] {
  return nodes
    .filter(({ id }) => id === node)
    .flatMap(({ publicIp, publicIp6 }) => (publicIp6 === null ? [publicIp] : [publicIp, publicIp6]));
}

/** Whether this machine knows a way to an address: one without IPv6 does not. IPv4 is taken for granted. */
export async function hasRoute(address: string): Promise<boolean> {
  if (!isIPv6(address)) return true;
  const socket = createSocket('udp6');
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.on('error', () => resolve(false));
  // Only asks the kernel for a route (connect of UDP).
  socket.connect(DISCARD_PORT, address, (error?: Error) => resolve(error === undefined));
  try {
    return await promise;
  } finally {
    socket.close();
  }
}

/** Results in the order of the tasks, a few of which run at a time. */
export async function someAtOnce<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < tasks.length; index = next++)
      results[index] = await (tasks[index] as () => Promise<T>)();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
