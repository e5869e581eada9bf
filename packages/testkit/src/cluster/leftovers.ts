import { globSync } from 'node:fs';
import { join } from 'node:path';
import { listSockets, showSocket } from '@orama/core';
import { type PortBlock, rowsOf } from './database.ts';
import type { LocalCluster } from './local-cluster.ts';
import { turnTenants } from './turn-control.ts';

/**
 * Everything of a namespace's WebRTC that is still there: processes, TURN tenants, sockets in its port blocks, rows,
 * DNS records, files. Empty when nothing is left. The owner's API key stays: it belongs to the namespace.
 * @param blocks the namespace's port blocks while it was enabled
 */
export async function leftoversOf(cluster: LocalCluster, namespace: string, blocks: PortBlock[]): Promise<string[]> {
  const left: string[] = [];
  const word = new RegExp(`(^|[^a-z0-9])${namespace}([^a-z0-9-]|$)`);
  for (const { pid, args } of cluster.processes()) {
    if (args.some((arg) => word.test(arg))) left.push(`process ${pid}: ${args.join(' ')}`);
  }
  for (const node of cluster.state.nodes) {
    for (const service of cluster.services(Number(node.id.split('-')[1]))) {
      if (word.test(service.unit)) left.push(`unit ${service.unit} on ${node.id}`);
    }
    for (const socket of globSync('**/*.sock', { cwd: node.dataDir })) {
      const tenants = await turnTenants(join(node.dataDir, socket));
      if (tenants.some((tenant) => tenant.namespace === namespace)) left.push(`TURN tenant on ${node.id}`);
    }
  }
  const within = (port: number, range: [number, number] | null) => !!range && port >= range[0] && port <= range[1];
  for (const socket of listSockets()) {
    const { address, port } = socket.local;
    const owner = blocks.find(
      (block) =>
        block.address === address &&
        ((socket.protocol === 'tcp' && socket.listening && port === block.signallingPort) ||
          (socket.protocol === 'udp' && (within(port, block.mediaPorts) || within(port, block.relayPorts)))),
    );
    if (owner) left.push(`socket ${showSocket(socket)} in the ${owner.service} block of ${owner.nodeId}`);
  }
  for (const [table, count] of Object.entries(rowsOf(cluster.databaseFile, namespace))) {
    left.push(`${count} rows in ${table}`);
  }
  for (const file of globSync('**/*', { cwd: cluster.dataDir })) {
    if (word.test(file) && file !== `keys/${namespace}.key`) left.push(`file ${file}`);
  }
  if (word.test((await cluster.zone()).replaceAll(`ns-${namespace}`, ` ${namespace} `))) {
    left.push('a record in the zone file');
  }
  return left;
}
