import { once } from 'node:events';
import { createConnection, createServer, type Server } from 'node:net';

/** Lets clients reach a gateway of the local cluster, which listens on 127.0.0.1 only. */
export async function forward(address: string, port: number): Promise<Server> {
  const server = createServer((incoming) => {
    const outgoing = createConnection(port, '127.0.0.1');
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.setNoDelay();
    }
  });
  server.listen(port, address);
  await once(server, 'listening');
  return server;
}
