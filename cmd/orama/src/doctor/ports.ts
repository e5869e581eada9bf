import { readdirSync, readFileSync } from 'node:fs';
import { turnResumeCommand } from '@orama/controlplane/services';
import { listSockets, type SocketInfo, socketInodesOf } from '@orama/core';
import { type ControlplaneConfig, canonicalIp, HTTPS_PORT, localAddressOf, TURN_INTERNAL_PORT } from '@orama/protocol';
import { wantedAddresses } from '../dev/preflight.ts';
import type { DevNode } from '../dev/state.ts';
import { logOf, thisPlace } from '../remedies.ts';
import { failed, type Line, passed } from './line.ts';

/** An address that a program of ours listens on. */
interface Wanted {
  transport: 'tcp' | 'udp';
  address: string;
  port: number;
  user: string;
  /** What has its program run again, where an operator keeps it down. */
  resume?: string | null;
}

const GATEWAY_INTERNAL_PORT = 6002;
const DNS_PORT = 53;
const RQLITE_PORT = 4001;
const RAFT_PORT = 4002;

/** What the nodes of a local cluster listen on. */
export async function addressesOfCluster(nodes: readonly DevNode[]): Promise<Wanted[]> {
  const each = nodes.map(async (node) => {
    const resume = await turnResumeCommand(node.id, node.dataDir);
    return wantedAddresses(node, false).map((one) => (one.user.startsWith('turn of') ? { ...one, resume } : one));
  });
  return (await Promise.all(each)).flat();
}

/**
 * What a node of a cluster listens on.
 * @param resume what has its TURN server run again, where an operator keeps it down
 */
export function addressesOfNode(config: ControlplaneConfig, resume: string | null = null): Wanted[] {
  const { wireguardIp, publicIp, publicIp6, api, gateway, turn, dns, store } = config;
  const publicIps = publicIp6 === undefined ? [publicIp] : [publicIp, publicIp6];
  const locals = publicIps.map((address) => localAddressOf(config, address));
  const everywhere = locals.map((address) => ({ address, port: DNS_PORT }));
  const nameserver = dns.writer === 'embedded' ? (dns.listen ?? everywhere) : [];
  const [rqlite] = store.driver === 'rqlite' ? store.addresses.map((address) => new URL(address)) : [];
  const isOwnRqlite = rqlite !== undefined && canonicalIp(rqlite.hostname.replace(/[[\]]/g, '')) === wireguardIp;
  return [
    { transport: 'tcp', address: wireguardIp, port: api.port, user: 'controlplane' },
    ...(api.loopback
      ? [{ transport: 'tcp' as const, address: '127.0.0.1', port: api.port, user: 'controlplane' }]
      : []),
    { transport: 'tcp', ...gateway.listen, user: 'gateway' },
    { transport: 'tcp', address: wireguardIp, port: GATEWAY_INTERNAL_PORT, user: 'gateway' },
    { transport: 'tcp', address: wireguardIp, port: TURN_INTERNAL_PORT, user: 'turn', resume },
    ...locals.flatMap((address): Wanted[] => [
      { transport: 'udp', address, port: turn.port, user: 'turn', resume },
      ...[turn.port, turn.tlsPort, ...(turn.port443 ? [HTTPS_PORT] : [])].map(
        (port): Wanted => ({ transport: 'tcp', address, port, user: 'turn', resume }),
      ),
    ]),
    ...(isOwnRqlite
      ? [Number(rqlite.port || RQLITE_PORT), RAFT_PORT].map(
          (port): Wanted => ({ transport: 'tcp', address: wireguardIp, port, user: 'rqlited' }),
        )
      : []),
    ...nameserver.flatMap((where): Wanted[] => [
      { transport: 'udp', ...where, user: 'nameserver' },
      { transport: 'tcp', ...where, user: 'nameserver' },
    ]),
  ];
}

/**
 * Who holds the addresses that our programs listen on.
 * @param mustRun whether they should be held by us, and not free
 */
export function checkPorts(wanted: readonly Wanted[], mustRun: boolean): Line[] {
  const sockets = listSockets().filter(({ listening }) => listening);
  const seen = wanted.map((one) => ({ one, holders: sockets.filter((socket) => isAt(socket, one)) }));
  const owners = ownersOf(seen.flatMap(({ holders }) => holders));
  const lines: Line[] = [];
  const drained = new Map<string, string[]>();
  let free = 0;
  let hidden = 0;
  for (const { one, holders } of seen) {
    const where = `${one.address}:${one.port}/${one.transport} (${one.user})`;
    const strangers = holders.flatMap((socket) => owners.get(socket.inode) ?? []).filter(({ isOurs }) => !isOurs);
    hidden += holders.some((socket) => !owners.has(socket.inode)) ? 1 : 0;
    if (holders.length === 0) {
      free += 1;
      if (mustRun && one.resume) drained.set(one.resume, [...(drained.get(one.resume) ?? []), where]);
      else if (mustRun) {
        const mend = `see why ${one.user} does not run: ${logOf(thisPlace(), one.user)}`;
        lines.push(failed('ports', `nothing listens on ${where}`, mend));
      }
    } else if (strangers.length > 0) {
      const names = strangers.map(({ name }) => name);
      lines.push(
        failed(
          'ports',
          `${where} is held by ${[...new Set(names)].join(', ')}`,
          'stop that program, or give one of the two another port or address',
        ),
      );
    }
  }
  for (const [mend, where] of drained)
    lines.push({
      id: 'ports',
      state: 'warning',
      seen: `drained, so that nothing listens on ${where.join(', ')}`,
      mend,
    });
  if (lines.length > 0) return lines;
  const held = wanted.length - free - hidden;
  const others = hidden === 0 ? '' : `, ${hidden} held by programs that root alone sees`;
  return [passed('ports', `${wanted.length} addresses: ${held} held by our programs, ${free} free${others}`)];
}

function isAt({ protocol, local }: SocketInfo, { transport, address, port }: Wanted): boolean {
  return protocol === transport && local.port === port && [address, '0.0.0.0', '::'].includes(local.address);
}

interface Owner {
  name: string;
  isOurs: boolean;
}

/** The processes of sockets by inode, of those that this user may look into. */
function ownersOf(sockets: readonly SocketInfo[]): Map<string, Owner> {
  const inodes = new Set(sockets.map(({ inode }) => inode));
  const owners = new Map<string, Owner>();
  if (inodes.size === 0) return owners;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const held = [...socketInodesOf(Number(pid))].filter((inode) => inodes.has(inode));
      if (held.length === 0) continue;
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const isOurs = args.some((arg) => /\/cmd\/(controlplane|gateway|turn|sfu|orama)\/|(^|\/)rqlited$/.test(arg));
      const name = `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (process ${pid})`;
      for (const inode of held) owners.set(inode, { name, isOurs });
    } catch {
      // It has ended, or belongs to somebody else.
    }
  }
  return owners;
}
