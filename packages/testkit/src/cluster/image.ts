import { createHash } from 'node:crypto';
import { globSync, lstatSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { showSocket, socketsOf } from '@orama/core';
import { readDatabase } from './database.ts';
import type { LocalCluster } from './local-cluster.ts';
import { turnTenants } from './turn-control.ts';

/** History: what happened is told for good. */
const HISTORY_TABLES = ['operations', 'operation_steps', 'audit', 'usage'];
/** What moves while nothing is asked of a cluster, by table; and how often WebRTC of a namespace was turned on. */
const MOVING_COLUMNS: Record<string, readonly string[]> = {
  change_counter: ['value'],
  leases: ['renewals'],
  namespaces: ['webrtc_generation'],
  nodes: ['beats', 'last_seen_at', 'load'],
  service_reports: ['details', 'reported_at', 'since'],
  turn_usage_reads: ['read_at', 'sequence'],
};
/** The store, whose rows are looked at instead, and logs, of which only the names and modes are. */
const STORE_FILES = /^store\.sqlite|^nodes\/[^/]+\/rqlite(\/|$)/;
const LOG_FILE = /\.log(\.1)?$/;

/**
 * Everything that a cluster has, each thing a line: rows of all tables but the history, files with their modes and
 * bytes, processes, the sockets that they listen on, TURN tenants. Two moments can be compared; what moves by itself is not in it.
 */
export async function imageOf(cluster: LocalCluster): Promise<string[]> {
  const rows = await rowsOfStore(cluster);
  const processes = cluster.processes();
  return [
    ...rows,
    ...filesOf(cluster.dataDir),
    ...processes.map(({ pid, args }) => `process ${pid}: ${args.join(' ')}`),
    ...processes.flatMap(({ pid }) => listenersOf(pid)),
    ...(await tenantsOf(cluster)),
  ].sort();
}

/** By a backup, which is the same for each kind of store. */
async function rowsOfStore(cluster: LocalCluster): Promise<string[]> {
  const file = `${cluster.dataDir}.backup`;
  await cluster.orama('store', 'backup', file);
  try {
    return readDatabase(file, (database) => {
      const tables = database.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).all() as {
        name: string;
      }[];
      return tables
        .filter(({ name }) => !HISTORY_TABLES.includes(name))
        .flatMap(({ name }) =>
          database
            .prepare(`SELECT * FROM "${name}"`)
            .all()
            .map((row) => showRow(name, row)),
        );
    });
  } finally {
    rmSync(file);
  }
}

function showRow(table: string, row: Record<string, unknown>): string {
  const still = Object.entries(row).filter(([column]) => !MOVING_COLUMNS[table]?.includes(column));
  return `row of ${table}: ${JSON.stringify(Object.fromEntries(still))}`;
}

function listenersOf(pid: number): string[] {
  const listening = socketsOf(pid).filter((socket) => socket.listening);
  return listening.map((socket) => `socket of ${pid}: ${showSocket(socket)}`);
}

async function tenantsOf(cluster: LocalCluster): Promise<string[]> {
  const ofNode = async (folder: string) => {
    const sockets = globSync('**/*.sock', { cwd: folder }).map((path) => turnTenants(join(folder, path)));
    return (await Promise.all(sockets)).flat().map(({ namespace }) => `TURN tenant ${namespace} in ${folder}`);
  };
  return (await Promise.all(cluster.state.nodes.map(({ dataDir }) => ofNode(dataDir)))).flat();
}

function filesOf(folder: string): string[] {
  return globSync('**/*', { cwd: folder })
    .filter((name) => !STORE_FILES.test(name))
    .map((name) => {
      const path = join(folder, name);
      const stat = lstatSync(path);
      const bytes =
        stat.isFile() && !LOG_FILE.test(name)
          ? ` ${createHash('sha256').update(readFileSync(path)).digest('hex')}`
          : '';
      return `file ${name} ${stat.mode.toString(8)}${bytes}`;
    });
}
