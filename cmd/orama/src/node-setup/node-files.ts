import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfigFile, UserError, writeFileAtomic } from '@orama/core';
import {
  type ControlplaneConfig,
  type ControlplaneConfigInput,
  controlplaneConfigSchema,
  type StoreConfig,
} from '@orama/protocol';
import { stringify } from 'yaml';
import { ownerIds } from './machine.ts';
import { PATHS } from './paths.ts';

const STORE_USER = 'orama';
const HTTP_PORT = 4001;
const RAFT_PORT = 4002;
/**
 * Of a rqlited that joins: more nodes than any cluster has, and a year. With it one that is the last of its cluster starts
 * again, which with `-join` alone it does not; and one whose folder is empty waits for the others and founds nothing.
 */
const WAITING = ['-bootstrap-expect', '1000', '-bootstrap-expect-timeout', '8760h'];
const FIRST_LINE = '# Made by "orama node". Change it with care, and restart orama-controlplane afterwards.\n';

/** What this machine is as a node; null when it is none yet. Throws ConfigError when that cannot be read. */
export async function readNodeConfig(): Promise<ControlplaneConfig | null> {
  return existsSync(PATHS.config) ? loadConfigFile(controlplaneConfigSchema, PATHS.config) : null;
}

/** The configuration as it will be read. Throws what an operator has to give otherwise. */
export function checkNodeConfig(config: ControlplaneConfigInput): ControlplaneConfig {
  const parsed = controlplaneConfigSchema.safeParse(config);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError('INVALID_REQUEST', `${issue?.path.join('.')}: ${issue?.message}`, {
      hint: 'give other options; see --help',
    });
  }
  return parsed.data;
}

/** Writes the configuration, the last of a node's files: with it the machine is a node. */
export async function writeNodeConfig(config: ControlplaneConfigInput): Promise<ControlplaneConfig> {
  const checked = checkNodeConfig(config);
  await rm(PATHS.left, { force: true });
  await writeFileAtomic(PATHS.config, FIRST_LINE + stringify(config));
  return checked;
}

/** The folders that the services need, as they need them. */
export async function makeFolders(): Promise<void> {
  await mkdir(PATHS.etc, { recursive: true, mode: 0o755 });
  const { uid, gid } = ownerIds();
  for (const name of ['', 'configs', 'run', 'rqlite', 'store']) {
    const folder = join(PATHS.data, name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chown(folder, uid, gid);
    await chmod(folder, 0o700);
  }
}

/** The cluster's key: as another node told it, or a new one; then one that is there already stays. */
export async function writeClusterKey(told?: string): Promise<void> {
  if (told === undefined && existsSync(PATHS.clusterKey)) return;
  await writeFileAtomic(PATHS.clusterKey, `${told ?? randomBytes(32).toString('hex')}\n`);
}

/** A store that is a file of this machine. */
export function fileStore(): StoreConfig {
  return { driver: 'sqlite', file: PATHS.storeFile };
}

export interface StoreMember {
  node: string;
  address: string;
  /** Addresses of the members that are there already. */
  others: readonly string[];
  /** `user:password` of the cluster's rqlited; made where there is none yet. */
  credentials?: string | undefined;
}

/** A store that this machine's rqlited keeps with those of the others. */
export function memberStore({ address, others }: Pick<StoreMember, 'address' | 'others'>): StoreConfig {
  const [first, ...rest] = [address, ...others].map((each) => `http://${each}:${HTTP_PORT}`) as [string, ...string[]];
  return {
    driver: 'rqlite',
    addresses: [first, ...rest],
    learnMembers: true,
    credentialsFile: PATHS.storeCredentials,
    timeoutMs: 8_000,
  };
}

/** Makes this machine's rqlited a member of the cluster's, to be started by its unit. */
export async function writeStoreMember({ node, address, others, ...member }: StoreMember): Promise<void> {
  const credentials = member.credentials ?? (await keptCredentials());
  const password = credentials.slice(credentials.indexOf(':') + 1);
  await writeFileAtomic(PATHS.storeCredentials, `${credentials}\n`);
  const { uid, gid } = ownerIds();
  await chown(PATHS.storeCredentials, uid, gid);
  await writeFileAtomic(PATHS.rqlitedAuth, `${JSON.stringify([{ username: STORE_USER, password, perms: ['all'] }])}\n`);
  const raft = others.map((other) => `${other}:${RAFT_PORT}`);
  const join = others.length === 0 ? [] : [...WAITING, '-join', raft.join(',')];
  const own = ['-node-id', node, '-http-addr', `${address}:${HTTP_PORT}`, '-raft-addr', `${address}:${RAFT_PORT}`];
  await writeFileAtomic(PATHS.rqlitedOptions, `RQLITED_OPTIONS=${[...own, ...join].join(' ')}\n`);
}

/** Throws where there is no rqlited. */
export function requireRqlited(): void {
  if (existsSync(PATHS.rqlited)) return;
  throw new UserError('PRECONDITION_FAILED', `there is no ${PATHS.rqlited}, which keeps the store of a cluster`, {
    hint: 'a release has it: sh install.sh install; a machine that stays alone does without: --store sqlite',
  });
}

/** Those of a run that was cut off, or new ones. */
async function keptCredentials(): Promise<string> {
  const kept = await readFile(PATHS.storeCredentials, 'utf8').catch(() => '');
  return kept.trim() || `${STORE_USER}:${randomBytes(24).toString('hex')}`;
}
