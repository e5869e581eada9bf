import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { INSTALL_DIR, OramaError, UserError, writeFileAtomic } from '@orama/core';
import { connectStore, RqliteDatabase } from '@orama/store';
import { pause } from '../wait.ts';
import { storeConfig, storeCredentialsFile } from './layout.ts';
import type { DevNode, DevSettings, DevState } from './state.ts';

const USER = 'orama';
const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 100;

/** The rqlited that this repository built, or else that of the system. Throws `UNAVAILABLE` with how to get one. */
export function findRqlited(path: readonly string[]): string {
  const built = join(INSTALL_DIR, '.orama/rqlited/rqlited');
  const found = [built, ...path.map((folder) => join(folder, 'rqlited'))].find(isExecutable);
  if (found !== undefined) return found;
  throw new UserError('UNAVAILABLE', 'the store rqlite needs the program rqlited, which is not installed', {
    hint: 'run "sh deploy/dev/rqlited.sh", which builds it once, or put an rqlited of version 8 or newer into the PATH',
  });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Throws `CONFLICT` where a start would leave the data of the last one behind. */
export function refuseOtherStore(dataDir: string, earlier: DevState | undefined, settings: DevSettings): void {
  if (!earlier) return;
  const before = earlier.settings;
  if (before.store !== settings.store) {
    throw new UserError('CONFLICT', `the cluster on ${dataDir} has its data in ${before.store}`, {
      hint: `start it without --store, or another one with --data-dir <folder>`,
    });
  }
  if (settings.store === 'rqlite' && settings.nodes < before.nodes) {
    throw new UserError('CONFLICT', `the store of the cluster on ${dataDir} is spread over ${before.nodes} nodes`, {
      hint: `start it with as many, or another one with --data-dir <folder>`,
    });
  }
}

/** The name and password of the cluster's rqlited, made once: for their clients, and as rqlited reads them. */
export async function writeRqliteAuth(
  dataDir: string,
  keepOrWrite: (file: string, create: () => string) => Promise<string>,
): Promise<void> {
  const create = () => `${USER}:${randomBytes(24).toString('hex')}`;
  const credentials = await keepOrWrite(storeCredentialsFile(dataDir), create);
  const auth = [{ username: USER, password: credentials.slice(USER.length + 1), perms: ['all'] }];
  await writeFileAtomic(authFile(dataDir), `${JSON.stringify(auth)}\n`);
}

function authFile(dataDir: string): string {
  return join(dataDir, 'store.auth.json');
}

/** Command line of one node's rqlited. A new cluster begins when all of them are there; one of old finds its own again. */
export function rqliteCommand(program: string, dataDir: string, node: DevNode, nodes: readonly DevNode[]): string[] {
  const own = rqliteOf(node);
  const raft = nodes.map((each) => rqliteOf(each).raft);
  return [
    ...[program, '-fk', '-node-id', node.id],
    ...['-http-addr', new URL(own.http).host, '-raft-addr', own.raft],
    ...['-bootstrap-expect', String(nodes.length), '-join', raft.join(',')],
    ...['-auth', authFile(dataDir), '-join-as', USER],
    join(node.dataDir, 'rqlite'),
  ];
}

function rqliteOf(node: DevNode): { http: string; raft: string } {
  if (!node.rqlite) throw new OramaError('INTERNAL', `${node.id} has no rqlited`);
  return node.rqlite;
}

/** Waits until every node's rqlited serves. Throws `TIMEOUT` naming those that do not. */
export async function waitForRqlite(options: {
  dataDir: string;
  nodes: readonly DevNode[];
  signal: AbortSignal;
  onProgress: (text: string) => void;
  throwIfHopeless: () => void;
}): Promise<void> {
  const { dataDir, nodes, signal, onProgress, throwIfHopeless } = options;
  const deadline = performance.now() + READY_TIMEOUT_MS;
  const stores = nodes.map((node) => ({ id: node.id, db: connectStore(storeConfig(dataDir, node, nodes)) }));
  try {
    for (;;) {
      throwIfHopeless();
      const reasons = await Promise.all(
        stores.map(async ({ id, db }) => {
          const reason = db instanceof RqliteDatabase ? await db.ownNode() : null;
          return reason === null ? [] : [`the rqlited of ${id} (${reason})`];
        }),
      );
      const missing = reasons.flat();
      if (missing.length === 0) return;
      if (performance.now() >= deadline) {
        throw new OramaError(
          'TIMEOUT',
          `the store is not up after ${READY_TIMEOUT_MS / 1000} s: ${missing.join(', ')}`,
          {
            hint: 'see "orama dev logs rqlited"',
          },
        );
      }
      onProgress(`waiting for ${missing.join(', ')}`);
      await pause(POLL_MS, signal);
    }
  } finally {
    await Promise.all(stores.map(({ db }) => db.close()));
  }
}
