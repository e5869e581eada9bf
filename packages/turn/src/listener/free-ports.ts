import { createSocket } from 'node:dgram';
import { createServer, isIPv6 } from 'node:net';

/**
 * Rejects with the system's error (`code` EADDRINUSE) when somebody has one of the ports. Listeners that share a port
 * would not notice: the system lets any of the same user's processes join them.
 */
export async function requireFreePorts(address: string, ports: { udp: number; tcp: readonly number[] }): Promise<void> {
  await bindUdpOnce(address, ports.udp);
  for (const port of ports.tcp) await listenOnce(address, port);
}

function bindUdpOnce(address: string, port: number): Promise<void> {
  const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', ipv6Only: isIPv6(address) });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => socket.close(() => reject(error)));
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve()));
  });
}

function listenOnce(address: string, port: number): Promise<void> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve()));
  });
}
