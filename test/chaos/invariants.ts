import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SIGNATURE_HEADER, sfuControlKey, sfuSecretOf, signRequest } from '@orama/core';
import { clusterStateSchema, sfuRoomListSchema } from '@orama/protocol';
import { turnTenants } from '@orama/testkit';
import type { Bed } from './bed/bed.ts';
import type { Machine } from './bed/machine.ts';
import { publicIpOf } from './bed/network.ts';
import type { Shell } from './shell.ts';

const ASK_TIMEOUT_MS = 2_000;

interface Block {
  node: string;
  host: string;
  namespace: string;
  service: 'sfu' | 'turn';
  isLeaving: boolean;
  ranges: { what: string; start: number; end: number }[];
  row: Record<string, string | number | null>;
}

/** What must hold at every moment. @returns what does not, in words; rejects while the store cannot be read */
export async function alwaysHolds(bed: Bed): Promise<string[]> {
  return doubleBlocks(await blocksOf(bed));
}

/** What must hold when everything has come to rest. @returns what does not, in words */
export async function holdsAtRest(bed: Bed, shells: readonly Shell[]): Promise<string[]> {
  const blocks = await blocksOf(bed);
  const configs = await bed.store.rows('SELECT namespace, state, generation FROM namespace_webrtc_config');
  const states = new Map(configs.map(({ namespace, state }) => [String(namespace), String(state)]));
  const broken = [...doubleBlocks(blocks)];
  for (const { namespace, node, service, isLeaving } of blocks) {
    if (!states.has(namespace)) broken.push(`${node} has a ${service} block of ${namespace}, which is not enabled`);
    if (isLeaving) broken.push(`${service} of ${namespace} is still leaving ${node}`);
  }
  for (const [namespace, state] of states) if (state !== 'enabled') broken.push(`${namespace} is ${state}`);
  for (const { id, kind, namespace } of await bed.store.rows("SELECT * FROM operations WHERE state = 'running'"))
    broken.push(`the operation ${id} (${kind} of ${namespace}) is not done`);
  for (const { namespace, acknowledged } of shells)
    if (acknowledged !== null && states.has(namespace) !== (acknowledged === 'enabled'))
      broken.push(`${namespace} was acknowledged as ${acknowledged} and is not`);
  broken.push(...(await wrongRows(bed, states)));
  broken.push(...wrongRecords(bed, blocks));
  for (const machine of bed.machines) {
    broken.push(...(await wrongServices(machine, blocks)));
    broken.push(...wrongStateFiles(machine, blocks, configs));
  }
  broken.push(...(await doubleRooms(bed, blocks)));
  return broken;
}

async function blocksOf(bed: Bed): Promise<Block[]> {
  const rows = await bed.store.rows('SELECT * FROM webrtc_port_allocations');
  return rows.map((row) => {
    const range = (what: string, start: string, end = start) =>
      row[start] === null ? [] : [{ what, start: Number(row[start]), end: Number(row[end]) }];
    return {
      node: String(row.node_id),
      host: String(row.host_ip),
      namespace: String(row.namespace),
      service: row.service_type as 'sfu' | 'turn',
      isLeaving: row.leaving_at !== null,
      ranges: [
        ...range('SFU signalling', 'sfu_signaling_port'),
        ...range('SFU media', 'sfu_media_port_start', 'sfu_media_port_end'),
        ...range('TURN relay', 'turn_relay_port_start', 'turn_relay_port_end'),
      ],
      row,
    };
  });
}

function doubleBlocks(blocks: readonly Block[]): string[] {
  const all = blocks.flatMap(({ host, namespace, ranges }) => ranges.map((range) => ({ host, namespace, ...range })));
  return all.flatMap((one, i) =>
    all
      .slice(i + 1)
      .filter((other) => one.what === other.what && one.host === other.host)
      .filter((other) => one.start <= other.end && other.start <= one.end)
      .map((other) => `${one.namespace} and ${other.namespace} share ${one.what} ports on ${one.host}`),
  );
}

/** Rows of namespaces that are not enabled; history and keys may stay. */
async function wrongRows(bed: Bed, states: ReadonlyMap<string, string>): Promise<string[]> {
  const broken: string[] = [];
  for (const table of ['service_reports', 'dns_records', 'webrtc_rooms']) {
    const rows = await bed.store.rows(`SELECT DISTINCT namespace FROM ${table}`);
    for (const { namespace } of rows)
      if (namespace !== '' && namespace !== null && !states.has(String(namespace)))
        broken.push(`${table} has rows of ${namespace}, which is not enabled`);
  }
  return broken;
}

function wrongRecords(bed: Bed, blocks: readonly Block[]): string[] {
  const turn = blocks
    .filter(({ service }) => service === 'turn')
    .map(({ namespace, node }) => `turn.${bed.hostOf(namespace)} ${publicIpOf(Number(node.split('-')[1]))}`);
  // Every node has a gateway, for all namespaces.
  const gateways = [...new Set(blocks.map(({ namespace }) => bed.hostOf(namespace)))].flatMap((host) =>
    bed.machines.map(({ number }) => `${host} ${publicIpOf(number)}`),
  );
  const wanted = [...turn, ...gateways];
  return bed.machines.flatMap((machine) => {
    const served = bed.records(machine);
    const missing = wanted.filter((record) => !served.includes(record)).map((record) => `misses ${record}`);
    const others = served.filter((record) => !wanted.includes(record)).map((record) => `has ${record}`);
    return [...missing, ...others].map((wrong) => `DNS of ${machine.id} ${wrong}`);
  });
}

async function wrongServices(machine: Machine, blocks: readonly Block[]): Promise<string[]> {
  const broken: string[] = [];
  const here = blocks.filter(({ node }) => node === machine.id);
  const processes = machine.processes();
  const sfus = processes.filter(({ program }) => program === 'sfu').map(({ args }) => args.join(' '));
  const wantedSfus = here.filter(({ service }) => service === 'sfu').map(({ namespace }) => namespace);
  for (const namespace of wantedSfus)
    if (sfus.filter((line) => isAbout(line, namespace)).length !== 1)
      broken.push(`${machine.id} runs ${sfus.filter((line) => isAbout(line, namespace)).length} SFUs of ${namespace}`);
  for (const line of sfus)
    if (!wantedSfus.some((namespace) => isAbout(line, namespace))) broken.push(`${machine.id} runs an orphan: ${line}`);
  for (const program of ['rqlited', 'controlplane', 'gateway', 'turn'] as const) {
    const count = processes.filter((process) => process.program === program).length;
    if (count !== 1) broken.push(`${machine.id} runs ${count} ${program}`);
  }
  const wantedTenants = here.filter(({ service }) => service === 'turn').map(({ namespace }) => namespace);
  const sockets = globSync('**/*.sock', { cwd: machine.folder }).map((path) => join(machine.folder, path));
  const tenants = (await Promise.all(sockets.map((path) => turnTenants(path))))
    .flat()
    .map(({ namespace }) => namespace);
  if (tenants.toSorted().join() !== wantedTenants.toSorted().join())
    broken.push(`TURN of ${machine.id} has [${tenants}] instead of [${wantedTenants}]`);
  return broken;
}

function wrongStateFiles(
  machine: Machine,
  blocks: readonly Block[],
  configs: readonly Record<string, string | number | null>[],
): string[] {
  const folder = join(machine.folder, 'data/namespaces');
  const present = existsSync(folder) ? readdirSync(folder) : [];
  const here = Map.groupBy(
    blocks.filter(({ node }) => node === machine.id),
    ({ namespace }) => namespace,
  );
  const broken = present
    .filter((namespace) => !here.has(namespace))
    .map((namespace) => `${machine.id} keeps files of ${namespace}`);
  for (const [namespace, own] of here) {
    const file = join(folder, namespace, 'cluster_state.json');
    if (!existsSync(file)) {
      broken.push(`${machine.id} has no cluster_state.json of ${namespace}`);
      continue;
    }
    const state = clusterStateSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const sfu = own.find(({ service }) => service === 'sfu')?.row;
    const turn = own.find(({ service }) => service === 'turn')?.row;
    const wanted: Record<string, unknown> = {
      has_sfu: sfu !== undefined,
      has_turn: turn !== undefined,
      generation: configs.find((config) => config.namespace === namespace)?.generation,
      sfu_signaling_port: sfu?.sfu_signaling_port,
      sfu_media_port_start: sfu?.sfu_media_port_start,
      sfu_media_port_end: sfu?.sfu_media_port_end,
      turn_relay_port_start: turn?.turn_relay_port_start,
      turn_relay_port_end: turn?.turn_relay_port_end,
    };
    for (const [field, value] of Object.entries(wanted))
      if (state[field as keyof typeof state] !== value)
        broken.push(`${field} of ${namespace} on ${machine.id} is ${state[field as keyof typeof state]}, not ${value}`);
  }
  return broken;
}

/** Rooms that have somebody on more than one SFU. */
async function doubleRooms(bed: Bed, blocks: readonly Block[]): Promise<string[]> {
  const holders = new Map<string, string[]>();
  for (const { namespace, node, host, service, row } of blocks) {
    if (service !== 'sfu') continue;
    const key = sfuControlKey(sfuSecretOf(bed.clusterKey, namespace));
    const response = await fetch(`http://${host}:${row.sfu_signaling_port}/rooms`, {
      headers: { [SIGNATURE_HEADER]: signRequest(key, 'GET', '/rooms', '', Date.now()) },
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    for (const { room, participants } of sfuRoomListSchema.parse(await response.json()).rooms) {
      if (participants.length === 0) continue;
      const name = `${namespace}/${room}`;
      holders.set(name, [...(holders.get(name) ?? []), node]);
    }
  }
  return [...holders]
    .filter(([, nodes]) => nodes.length > 1)
    .map(([room, nodes]) => `${room} is on ${nodes.join(' and ')}`);
}

function isAbout(commandLine: string, namespace: string): boolean {
  return new RegExp(`(^|[^a-z0-9-])${namespace}([^a-z0-9-]|$)`).test(commandLine);
}
