import { readdir, readFile } from 'node:fs/promises';
import { describeError } from '@orama/core';
import { type ControlplaneConfig, type NodeFacts, turnServerStatusSchema, turnTenantListSchema } from '@orama/protocol';
import type { SfuAllocationRow, TakenBlockRow } from '@orama/store';
import { probeReady, probeSfu } from '../monitor/probes.ts';
import { type NodeContext, nodePaths, turnSocketOf } from '../node-context.ts';
import type { HeldUnits } from '../services/held-units.ts';
import { namespaceOfSfuUnit, TURN_UNIT } from '../services/service-manager.ts';
import { gatewayConfig, turnConfig } from '../tasks/core-service.ts';
import { callTurn, TurnDownError } from '../turn-control.ts';
import { ownSockets } from './own-sockets.ts';
import { secretFiles } from './secret-files.ts';

const DNS_PORT = 53;

/** Looks at this node. Throws where the system itself cannot be asked; a service that does not answer is a fact. */
export async function gatherNodeFacts(
  { config, services, store, clock }: Pick<NodeContext, 'config' | 'services' | 'store' | 'clock'>,
  { version, held }: { version: string; held: HeldUnits },
): Promise<NodeFacts> {
  const receivedAtMs = clock.now();
  const paths = nodePaths(config.dataDir);
  const isOwnSfu = (row: TakenBlockRow): row is SfuAllocationRow & TakenBlockRow =>
    row.service === 'sfu' && row.nodeId === config.node && row.leavingSinceMs === null;
  const [blocks, units, sockets, unitFolders, namespaceFolders, files, gateway, turn, zoneFile] = await Promise.all([
    store.ports.listTaken(),
    services.list(),
    ownSockets(config),
    namesIn(paths.configs),
    namesIn(paths.namespaces),
    secretFiles(config),
    gatewayHealth(config),
    turnFacts(config),
    readZoneFile(config),
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
    units: units.map(({ unit }) => unit),
    unitFolders: unitFolders.filter((unit) => namespaceOfSfuUnit(unit) !== null),
    namespaceFolders,
    sfus,
    gateway,
    turn: { ...turn, held: held.has(TURN_UNIT), port: config.turn.port, tlsPort: config.turn.tlsPort },
    secretFiles: files,
    dns: { writer: config.dns.writer, servers: dnsServersOf(config), zoneFile },
    answeredAtMs: clock.now(),
  };
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return [];
    throw thrown;
  });
}

async function sfuHealth({ namespace, nodeId, hostIp, signalingPort }: SfuAllocationRow) {
  const judge = (reason: string | null) => ({ namespace, healthy: reason === null, reason });
  try {
    const internal = { address: hostIp, port: signalingPort };
    const { status } = await probeSfu(internal, { namespace, node: nodeId });
    // One that is busy serves those it has.
    return judge(status === 'draining' ? 'it is draining' : null);
  } catch (thrown) {
    return judge(`it does not answer: ${describeError(thrown)}`);
  }
}

async function gatewayHealth(config: ControlplaneConfig) {
  const reason = await probeReady(gatewayConfig(config).internal);
  return { healthy: reason === null, reason };
}

async function turnFacts(config: ControlplaneConfig) {
  try {
    const socket = turnSocketOf(config);
    const { draining, certificates } = await callTurn(socket, turnServerStatusSchema, 'GET', '/status');
    const { tenants } = await callTurn(socket, turnTenantListSchema, 'GET', '/tenants');
    return { running: true, reason: null, draining, certificates, tenants: tenants.map(({ namespace }) => namespace) };
  } catch (thrown) {
    const reason = thrown instanceof TurnDownError ? 'no TURN server runs' : describeError(thrown);
    return { running: false, reason, draining: false, certificates: [], tenants: [] };
  }
}

function dnsServersOf({ dns, publicIp, publicIp6 }: ControlplaneConfig): NodeFacts['dns']['servers'] {
  if (dns.writer === 'rfc2136') return [dns.server];
  if (dns.writer !== 'embedded') return [];
  const own = publicIp6 === undefined ? [publicIp] : [publicIp, publicIp6];
  return dns.listen ?? own.map((address) => ({ address, port: DNS_PORT }));
}

async function readZoneFile({ dns }: ControlplaneConfig): Promise<NodeFacts['dns']['zoneFile']> {
  if (dns.writer !== 'file') return null;
  const text = await readFile(dns.file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return null;
    throw thrown;
  });
  return text === null ? null : { path: dns.file, text };
}
