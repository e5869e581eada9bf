import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlplaneConfig, NodeFacts } from '@orama/protocol';
import { nodePaths } from '../node-context.ts';

const WIREGUARD = '/etc/wireguard';

/** The files of this node that hold secrets, or let somebody at them, with their permission bits. Those that are not there are left out. */
export async function secretFiles(config: ControlplaneConfig): Promise<NodeFacts['secretFiles']> {
  const { configs, certificates, namespaces, turnControlSocket } = nodePaths(config.dataDir);
  const { store, dns, turn } = config;
  const named = [
    config.clusterKeyFile,
    turnControlSocket,
    store.driver === 'rqlite' ? store.credentialsFile : store.file,
    turn.keyFile,
    dns.writer === 'powerdns' ? dns.apiKeyFile : undefined,
    dns.writer === 'rfc2136' ? dns.tsig.keyFile : undefined,
  ].filter((path) => path !== undefined);
  const listed = await Promise.all([
    filesIn(configs),
    filesIn(certificates),
    filesIn(namespaces, (name) => name.endsWith('cluster_state.json')),
    // Of the machine, which nodes of a local cluster share.
    config.services.manager === 'systemd' ? filesIn(WIREGUARD) : [],
  ]);
  const files = await Promise.all([...named, ...listed.flat()].map(withMode));
  return files.flat();
}

async function filesIn(folder: string, accept = (_name: string) => true): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && accept(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name));
}

async function withMode(path: string): Promise<NodeFacts['secretFiles']> {
  const found = await stat(path).catch((thrown: NodeJS.ErrnoException) => {
    // A socket of a server that does not run, a file that is replaced just now.
    if (thrown.code === 'ENOENT') return null;
    throw thrown;
  });
  return found ? [{ path, mode: found.mode & 0o777 }] : [];
}
