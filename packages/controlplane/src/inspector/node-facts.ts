import { readdir, readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { describeError } from '@orama/core';
import {
  type ControlplaneConfig,
  localAddressOf,
  type NodeFacts,
  turnServerStatusSchema,
  turnTenantListSchema,
} from '@orama/protocol';
import type { SfuAllocationRow, TakenBlockRow } from '@orama/store';
import { probeDns, probeReady, probeSfu, probeVersion } from '../monitor/probes.ts';
import { within } from '../monitor/within.ts';
import { type NodeContext, nodePaths, turnSocketOf } from '../node-context.ts';
import type { HeldUnits } from '../services/held-units.ts';
import { namespaceOfSfuUnit, TURN_UNIT } from '../services/service-manager.ts';
import { gatewayConfig, turnConfig } from '../tasks/core-service.ts';
import { callTurn, TurnDownError } from '../turn-control.ts';
import { ownSockets } from './own-sockets.ts';
import { secretFiles } from './secret-files.ts';

const DNS_PORT = 53;

/** A store that answers later is as good as down. */
const STORE_PATIENCE_MS = 1_500;

export interface NodeFactsSources {
  /** Of this controlplane. */
  version: string;
  held: HeldUnits;
  /** Why this node's part of the store does not serve; null when it does. */
  ownStore: () => Promise<string | null>;
}

/** Looks at this node. Throws where the system itself cannot be asked; a service that does not answer is a fact. */
export async function gatherNodeFacts(
  { config, services, store, clock }: Pick<NodeContext, 'config' | 'services' | 'store' | 'clock'>,
  { version, held, ownStore }: NodeFactsSources,
): Promise<NodeFacts> {
  const receivedAtMs = clock.now();
  const paths = nodePaths(config.dataDir);
  const isOwnSfu = (row: TakenBlockRow): row is SfuAllocationRow & TakenBlockRow =>
    row.service === 'sfu' && row.nodeId === config.node && row.leavingSinceMs === null;
  const [blocks, units, sockets, unitFolders, namespaceFolders, files, gateway, turn, zoneFile, dns, own] =
    await Promise.all([
      store.ports.listTaken(),
      services.list(),
      ownSockets(config),
      namesIn(paths.configs),
      namesIn(paths.namespaces),
      secretFiles(config),
      gatewayHealth(config),
      turnFacts(config),
      readZoneFile(config),
      nameserverHealth(config),
      within(STORE_PATIENCE_MS, ownStore()).catch(describeError),
    ]);
  const sfus = await Promise.all(blocks.filter(isOwnSfu).map(sfuHealth));
  const { sfuSignaling, sfuMedia, turnRelay } = config.ports;
  return {
    node: config.node,
    version,
    receivedAtMs,
    wireguardIp: config.wireguardIp,
    publicAddresses: turnConfig(config).listen,
    dataDir: config.dataDir,
    manager: config.services.manager,
    ranges: { sfuSignaling, sfuMedia, turnRelay },
    sockets,
    listeners: listenersOf(config),
    units: units.map(({ unit }) => unit),
    unitFolders: unitFolders.filter((unit) => namespaceOfSfuUnit(unit) !== null),
    namespaceFolders,
    sfus,
    gateway,
    store: { reason: own },
    turn: { ...turn, held: held.has(TURN_UNIT), port: config.turn.port, tlsPort: config.turn.tlsPort },
    secretFiles: files,
    dns: { writer: config.dns.writer, reason: dns, servers: dnsServersOf(config), zoneFile },
    answeredAtMs: clock.now(),
  };
}

function listenersOf(config: ControlplaneConfig): NodeFacts['listeners'] {
  const { listen, port, tls } = turnConfig(config);
  const tlsPorts = tls === false ? [] : [tls.port, ...(tls.shared ? [tls.shared.port] : [])];
  return [
    { protocol: 'tcp', ...config.gateway.listen },
    ...listen.flatMap((address): NodeFacts['listeners'] => [
      { protocol: 'udp', address, port },
      ...[port, ...tlsPorts].map((tcpPort) => ({ protocol: 'tcp' as const, address, port: tcpPort })),
    ]),
  ];
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return [];
    throw thrown;
  });
}

async function sfuHealth({ namespace, nodeId, hostIp, signalingPort }: SfuAllocationRow) {
  const judge = (reason: string | null, version: string | null) => ({
    ...{ namespace, healthy: reason === null, reason, version },
  });
  try {
    const internal = { address: hostIp, port: signalingPort };
    const [{ status }, version] = await Promise.all([
      probeSfu(internal, { namespace, node: nodeId }),
      probeVersion(internal),
    ]);
    // One that is busy serves those it has.
    return judge(status === 'draining' ? 'it is draining' : null, version);
  } catch (thrown) {
    return judge(`it does not answer: ${describeError(thrown)}`, null);
  }
}

async function gatewayHealth(config: ControlplaneConfig) {
  const { internal } = gatewayConfig(config);
  const [reason, version] = await Promise.all([probeReady(internal), probeVersion(internal)]);
  return { healthy: reason === null, reason, version };
}

async function turnFacts(config: ControlplaneConfig) {
  try {
    const socket = turnSocketOf(config);
    const { draining, certificates } = await callTurn(socket, turnServerStatusSchema, 'GET', '/status');
    const { tenants } = await callTurn(socket, turnTenantListSchema, 'GET', '/tenants');
    const version = await probeVersion(turnConfig(config).internal);
    return {
      running: true,
      version,
      reason: null,
      draining,
      certificates,
      tenants: tenants.map(({ namespace }) => namespace),
    };
  } catch (thrown) {
    const reason = thrown instanceof TurnDownError ? 'no TURN server runs' : describeError(thrown);
    return { running: false, version: null, reason, draining: false, certificates: [], tenants: [] };
  }
}

function dnsServersOf({ dns, publicIp, publicIp6 }: ControlplaneConfig): NodeFacts['dns']['servers'] {
  if (dns.writer === 'rfc2136') return [dns.server];
  if (dns.writer !== 'embedded') return [];
  const own = publicIp6 === undefined ? [publicIp] : [publicIp, publicIp6];
  return dns.listen ?? own.map((address) => ({ address, port: DNS_PORT }));
}

async function nameserverHealth(config: ControlplaneConfig): Promise<string | null> {
  if (config.dns.writer !== 'embedded') return null;
  const asked = dnsServersOf(config).map(async ({ address, port }) => {
    const local = localAddressOf(config, address);
    await probeDns(isIPv6(local) ? `[${local}]:${port}` : `${local}:${port}`, config.baseDomain);
  });
  return Promise.all(asked).then(() => null, describeError);
}

async function readZoneFile({ dns }: ControlplaneConfig): Promise<NodeFacts['dns']['zoneFile']> {
  if (dns.writer !== 'file') return null;
  const text = await readFile(dns.file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return null;
    throw thrown;
  });
  return text === null ? null : { path: dns.file, text };
}
