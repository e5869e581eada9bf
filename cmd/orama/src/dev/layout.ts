import { join } from 'node:path';
import type { ControlplaneConfigInput, StoreConfig } from '@orama/protocol';
import type { findPrograms } from './programs.ts';
import type { DevNode, DevSettings } from './state.ts';

export const DEV_BASE_DOMAIN = 'orama.localhost';
const API_PORT = 6001;
const RQLITE_HTTP_PORT = 4001;
const RQLITE_RAFT_PORT = 4002;
const LOOPBACK = '127.0.0.1';
const STORE_TIMEOUT_MS = 8_000;

export const DEFAULT_DEV_SETTINGS: DevSettings = {
  loopbackPrefix: '127.77',
  httpPort: 6080,
  nodes: 3,
  store: 'sqlite',
  logLevel: 'info',
  turnLifetimeSec: 600,
  turnNonceLifetimeSec: 3600,
};

/** Addresses and files of the nodes of a local cluster: `<prefix>.0.N` as WireGuard address, `<prefix>.1.N` as public one. */
export function planNodes(dataDir: string, settings: DevSettings): DevNode[] {
  return Array.from({ length: settings.nodes }, (_, index) => {
    const id = `node-${index + 1}`;
    const wireguardIp = `${settings.loopbackPrefix}.0.${index + 1}`;
    const nodeDir = join(dataDir, 'nodes', id);
    return {
      id,
      wireguardIp,
      publicIp: `${settings.loopbackPrefix}.1.${index + 1}`,
      api: `http://${wireguardIp}:${API_PORT}`,
      gateway: `http://${LOOPBACK}:${settings.httpPort + index}`,
      dataDir: nodeDir,
      configFile: join(nodeDir, 'controlplane.json'),
      logFile: join(nodeDir, 'logs', 'controlplane.log'),
      ...(settings.store === 'sqlite'
        ? {}
        : {
            rqlite: {
              http: `http://${wireguardIp}:${RQLITE_HTTP_PORT}`,
              raft: `${wireguardIp}:${RQLITE_RAFT_PORT}`,
              logFile: join(nodeDir, 'logs', 'rqlited.log'),
            },
          }),
    };
  });
}

export function clusterKeyFile(dataDir: string): string {
  return join(dataDir, 'cluster.key');
}

/** File with the name and password that the local cluster's rqlited want. */
export function storeCredentialsFile(dataDir: string): string {
  return join(dataDir, 'store.credentials');
}

/** The store of a node's processes: the whole cluster's rqlited, its own first, or the one file. */
export function storeConfig(dataDir: string, node: DevNode, nodes: readonly DevNode[]): StoreConfig {
  const [own, ...others] = [node, ...nodes.filter(({ id }) => id !== node.id)].map(({ rqlite }) => rqlite?.http);
  if (own === undefined) return { driver: 'sqlite', file: join(dataDir, 'store.sqlite') };
  const addresses: [string, ...string[]] = [own, ...others.filter((address) => address !== undefined)];
  return { driver: 'rqlite', addresses, credentialsFile: storeCredentialsFile(dataDir), timeoutMs: STORE_TIMEOUT_MS };
}

/** File with the owner API key of a namespace that was created from here. */
export function apiKeyFile(dataDir: string, namespace: string): string {
  return join(dataDir, 'keys', `${namespace}.key`);
}

/** Public base URL of a namespace, by the gateway of the first node. */
export function namespaceUrl(settings: DevSettings, namespace: string): string {
  return `http://ns-${namespace}.${DEV_BASE_DOMAIN}:${settings.httpPort}`;
}

/** Configuration of one node's controlplane. */
export function controlplaneConfig(options: {
  dataDir: string;
  clusterId: string;
  node: DevNode;
  nodes: readonly DevNode[];
  settings: DevSettings;
  programs: ReturnType<typeof findPrograms>;
}): ControlplaneConfigInput {
  const { dataDir, node, settings, programs } = options;
  return {
    clusterId: options.clusterId,
    node: node.id,
    wireguardIp: node.wireguardIp,
    publicIp: node.publicIp,
    wireguardNetwork: `${settings.loopbackPrefix}.0.0/24`,
    baseDomain: DEV_BASE_DOMAIN,
    dataDir: node.dataDir,
    clusterKeyFile: clusterKeyFile(dataDir),
    store: storeConfig(dataDir, node, options.nodes),
    // Several nodes share this machine's 127.0.0.1.
    api: { port: API_PORT, loopback: false },
    services: {
      manager: 'processes',
      programs: { gateway: programs.gateway, turn: programs.turn, sfu: programs.sfu },
    },
    gateway: {
      listen: { address: LOOPBACK, port: Number(new URL(node.gateway).port) },
      callPage: true,
      operatorApi: {},
    },
    turn: {
      advertise: 'addresses',
      // Three servers share this machine's processors.
      workers: 1,
      defaultLifetimeSec: settings.turnLifetimeSec,
      nonceLifetimeSec: settings.turnNonceLifetimeSec,
    },
    dns: { writer: 'file', file: join(node.dataDir, 'dns', 'zone') },
    ...(settings.failpointDir === undefined ? {} : { failpointDir: settings.failpointDir }),
    logLevel: settings.logLevel,
  };
}
