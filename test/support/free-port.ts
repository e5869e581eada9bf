import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** A UDP port of an address that nobody has just now. */
export async function freePort(address: string): Promise<number> {
  const socket = createSocket('udp4').bind({ address, port: 0 });
  await once(socket, 'listening');
  const { port } = socket.address();
  const closed = once(socket, 'close');
  socket.close();
  await closed;
  return port;
}
