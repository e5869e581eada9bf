import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { listSockets, type SocketInfo, socketInodesOf } from '@orama/core';
import type { ControlplaneConfig, NodeFacts } from '@orama/protocol';
import { findByEnvironment } from '../services/proc.ts';

/**
 * UDP sockets and listening TCP sockets of this node's services, as the kernel has them. Processes that we started are
 * told apart by their mark; units of systemd run as a user of their own, and nobody else's processes may be looked into.
 */
export async function ownSockets({ services, dataDir, ports }: ControlplaneConfig): Promise<NodeFacts['sockets']> {
  const listening = listSockets().filter((socket) => socket.listening);
  if (services.manager === 'systemd') {
    const { uid } = await stat(dataDir);
    const media = [ports.sfuMedia, ports.turnRelay];
    // A client's socket, such as that of a question to DNS, is anywhere and hears its server alone.
    const isOfClient = ({ remote, local }: SocketInfo) =>
      remote.port !== 0 && !media.some(({ start, end }) => local.port >= start && local.port <= end);
    return listening
      .filter((socket) => socket.uid === uid && !isOfClient(socket))
      .map((socket) => toFact(socket, null));
  }
  const units = new Map<string, string>();
  for (const { pid, environment } of await findByEnvironment('ORAMA_RUN_DIR', join(dataDir, 'run'))) {
    const unit = environment.get('ORAMA_UNIT');
    if (unit !== undefined) for (const inode of inodesOf(pid)) units.set(inode, unit);
  }
  return listening.flatMap((socket) => {
    const unit = units.get(socket.inode);
    return unit === undefined ? [] : [toFact(socket, unit)];
  });
}

function toFact({ protocol, local }: SocketInfo, unit: string | null): NodeFacts['sockets'][number] {
  return { protocol, ...local, unit };
}

function inodesOf(pid: number): Iterable<string> {
  try {
    return socketInodesOf(pid);
  } catch {
    return []; // It has ended since.
  }
}
