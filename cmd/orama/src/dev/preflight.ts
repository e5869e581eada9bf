import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { UserError } from '@orama/core';
import type { DevNode } from './state.ts';

interface Wanted {
  transport: 'tcp' | 'udp';
  address: string;
  port: number;
  /** Who wants it, in words. */
  user: string;
  /** What to do when someone else has it. */
  hint: string;
}

const TURN_PORT = 3478;
const TURN_TLS_PORT = 5349;
const OTHER_PREFIX = 'start with another --loopback-prefix, such as 127.78';
const OTHER_PORT = 'start with another --http-port, such as 7080';

/** Every address a node needs. Those of services that survived their controlplane are left out with `servicesRun`. */
export function wantedAddresses(node: DevNode, servicesRun: boolean): Wanted[] {
  const gateway = new URL(node.gateway);
  const api: Wanted = {
    transport: 'tcp',
    address: node.wireguardIp,
    port: Number(new URL(node.api).port),
    user: `controlplane of ${node.id}`,
    hint: OTHER_PREFIX,
  };
  const own = [api, ...rqliteAddresses(node)];
  if (servicesRun) return own;
  const turn = { address: node.publicIp, port: TURN_PORT, user: `turn of ${node.id}`, hint: OTHER_PREFIX };
  return [
    ...own,
    {
      transport: 'tcp',
      address: gateway.hostname,
      port: Number(gateway.port),
      user: `gateway of ${node.id}`,
      hint: OTHER_PORT,
    },
    { transport: 'udp', ...turn },
    { transport: 'tcp', ...turn },
    { transport: 'tcp', ...turn, port: TURN_TLS_PORT },
  ];
}

function rqliteAddresses({ id, rqlite, wireguardIp }: DevNode): Wanted[] {
  if (!rqlite) return [];
  return [rqlite.http, `http://${rqlite.raft}`].map((url) => ({
    transport: 'tcp',
    address: wireguardIp,
    port: Number(new URL(url).port),
    user: `rqlited of ${id}`,
    hint: OTHER_PREFIX,
  }));
}

/** Throws `CONFLICT` naming every address that cannot be had, each with why. */
export async function checkAddresses(wanted: Wanted[]): Promise<void> {
  const refusals = await Promise.all(wanted.map(async (one) => ({ one, reason: await tryBind(one) })));
  const failed = refusals.filter(({ reason }) => reason !== null);
  if (failed.length === 0) return;
  const lines = failed.map(({ one, reason }) => `${one.address}:${one.port}/${one.transport} (${one.user}) ${reason}`);
  throw new UserError('CONFLICT', `the cluster cannot start, addresses are not free:\n  ${lines.join('\n  ')}`, {
    hint: [...new Set(failed.map(({ one }) => one.hint))].join('; '),
    details: { addresses: lines },
  });
}

/** Null when the address can be bound, else why not. */
function tryBind(wanted: Wanted): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const failed = (error: NodeJS.ErrnoException) => resolve(explain(error));
  if (wanted.transport === 'tcp') {
    const server = createServer().once('error', failed);
    server.listen(wanted.port, wanted.address, () => server.close(() => resolve(null)));
  } else {
    const socket = createSocket('udp4').once('error', failed);
    socket.bind({ port: wanted.port, address: wanted.address, exclusive: true }, () =>
      socket.close(() => resolve(null)),
    );
  }
  return promise;
}

function explain(error: NodeJS.ErrnoException): string {
  if (error.code === 'EADDRINUSE') return 'is in use by another program';
  if (error.code === 'EADDRNOTAVAIL') return 'is not an address of this machine';
  if (error.code === 'EACCES') return 'may not be used by this user';
  return `cannot be bound: ${error.message}`;
}
