import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ControlplaneConfig, dnsSecretFile, type NodeFacts } from '@orama/protocol';
import { nodePaths } from '../node-context.ts';

const WIREGUARD = '/etc/wireguard';
/** Of an installed node. */
const ETC = '/etc/orama';
const RUN = '/run/orama';
/** Settings and certificates, which name secrets and hold none; keys are named by the settings. */
const NO_SECRETS = /\.(ya?ml|pem|crt)$/;
/** Configurations of tenants, and environments of units. */
const RUN_SECRETS = /\.(json|env)$/;
const ROOT = 0;

/** The files of this node that hold secrets, or let somebody at them, with their permission bits. Those that are not there are left out. */
export async function secretFiles(config: ControlplaneConfig): Promise<NodeFacts['secretFiles']> {
  const { configs, certificates, namespaces, turnControlSocket } = nodePaths(config.dataDir);
  const { store, dns, turn } = config;
  const named = [
    config.clusterKeyFile,
    turnControlSocket,
    ...(store.driver === 'rqlite' ? [store.credentialsFile] : ['', '-wal', '-shm'].map((end) => store.file + end)),
    turn.keyFile,
    dnsSecretFile(dns),
  ].filter((path) => path !== undefined);
  const listed = await Promise.all([
    filesIn(configs),
    filesIn(certificates),
    filesIn(namespaces, (name) => name.endsWith('cluster_state.json')),
    // Of the machine, which nodes of a local cluster share.
    ...(config.services.manager === 'systemd'
      ? [
          filesIn(WIREGUARD),
          filesIn(ETC, (name) => !NO_SECRETS.test(name)),
          filesIn(RUN, (name) => RUN_SECRETS.test(name)),
        ]
      : []),
  ]);
  const { uid } = await stat(config.dataDir);
  const paths = new Set([...named, ...listed.flat()]);
  const files = await Promise.all([...paths].map((path) => look(path, [ROOT, uid])));
  return files.flat();
}

async function filesIn(folder: string, accept = (_name: string) => true): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && accept(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name));
}

async function look(path: string, owners: readonly number[]): Promise<NodeFacts['secretFiles']> {
  const found = await stat(path).catch((thrown: NodeJS.ErrnoException) => {
    // A socket of a server that does not run, a file that is replaced just now, a folder that even we may not enter.
    if (thrown.code === 'ENOENT' || thrown.code === 'EACCES') return null;
    throw thrown;
  });
  return found ? [{ path, mode: found.mode & 0o777, isForeign: !owners.includes(found.uid) }] : [];
}
