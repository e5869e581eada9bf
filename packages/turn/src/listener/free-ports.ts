import { createSocket } from 'node:dgram';
import { createServer, isIPv6 } from 'node:net';
import { bindError } from '@orama/core';
import type { TurnConfig } from '@orama/protocol';

type Transport = 'udp' | 'tcp' | 'tls';

/**
 * Rejects with an OramaError that names the field, the address and the next step when one of the ports cannot be had.
 * Listeners that share a port would not notice: the system lets any of the same user's processes join them.
 */
export async function requireFreePorts(
  { listen, port, tls }: Pick<TurnConfig, 'listen' | 'port' | 'tls'>,
  transports: readonly Transport[] = ['udp', 'tcp', 'tls'],
): Promise<void> {
  for (const address of listen) {
    if (transports.includes('udp')) await once(bindUdp, { transport: 'udp', address, port, field: 'listen, port' });
    if (transports.includes('tcp')) await once(listenTcp, { transport: 'tcp', address, port, field: 'listen, port' });
    if (transports.includes('tls') && tls !== false) {
      await once(listenTcp, { transport: 'tcp', address, port: tls.port, field: 'listen, tls.port' });
      const { shared } = tls;
      if (shared)
        await once(listenTcp, { transport: 'tcp', address, port: shared.port, field: 'listen, tls.shared.port' });
    }
  }
}

async function once(
  bind: (address: string, port: number) => Promise<void>,
  wanted: Parameters<typeof bindError>[1],
): Promise<void> {
  await bind(wanted.address, wanted.port).catch((cause) => {
    throw bindError(cause, wanted);
  });
}

function bindUdp(address: string, port: number): Promise<void> {
  const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', ipv6Only: isIPv6(address) });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => socket.close(() => reject(error)));
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve()));
  });
}

function listenTcp(address: string, port: number): Promise<void> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve()));
  });
}
