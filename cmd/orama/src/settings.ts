import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseConfig, readSecretFile, UserError } from '@orama/core';
import { z } from 'zod';
import { apiKeyFile } from './dev/layout.ts';
import { type DevState, devStateSchema } from './dev/state.ts';
import { chooseEnvironment } from './environments/choose.ts';
import { apiUrlSchema, gatewayUrlSchema, LOCAL_ENVIRONMENT } from './environments/environment.ts';
import type { EnvironmentsFile } from './environments/environments-file.ts';
import { API_PORT, PATHS } from './node-setup/paths.ts';
import { thisPlace } from './remedies.ts';

/** Options that every command takes. */
const globalOptionsSchema = z.object({
  json: z.boolean().default(false),
  env: z.string().min(1).optional(),
  dataDir: z.string().min(1).optional(),
  api: z.array(apiUrlSchema).optional(),
  clusterKeyFile: z.string().min(1).optional(),
});
export type GlobalOptions = z.input<typeof globalOptionsSchema>;

const environmentSchema = z.object({
  ORAMA_ENV: z.string().min(1).optional(),
  ORAMA_DATA_DIR: z.string().min(1).optional(),
  /** Several URLs are separated by commas. */
  ORAMA_API: z
    .string()
    .min(1)
    .transform((urls) => urls.split(',').map((url) => url.trim()))
    .pipe(z.array(apiUrlSchema))
    .optional(),
  ORAMA_CLUSTER_KEY_FILE: z.string().min(1).optional(),
  ORAMA_GATEWAY: z.string().min(1).optional(),
  ORAMA_API_KEY_FILE: z.string().min(1).optional(),
  ORAMA_CHROMIUM: z.string().min(1).optional(),
  XDG_CONFIG_HOME: z.string().min(1).optional(),
  XDG_STATE_HOME: z.string().min(1).optional(),
  PATH: z.string().default(''),
});
type Environment = z.infer<typeof environmentSchema>;

/**
 * What a command line and its environment come to. Options win over variables, variables over the environment that
 * `orama env use` chose, that over the local cluster, and that over the one that this machine is a node of.
 */
export interface Settings {
  json: boolean;
  /** Data directory of the local cluster; absolute. */
  dataDir: string;
  /** Browser to use instead of the one found in `path`. */
  chromium: string | undefined;
  /** Folders to look for programs in. */
  path: string[];
  /** The cluster that options of this command name. */
  named: { api: string[] | undefined; clusterKeyFile: string | undefined };
  /** The clusters that the operator knows. Throws ConfigError. */
  environments(): EnvironmentsFile;
  /** How the cluster that is meant is reached. Throws NOT_FOUND, ConfigError, NoClusterError. */
  cluster(): ClusterAccess;
  /** The gateway of a namespace. Throws INVALID_REQUEST naming the option that is missing. */
  gateway(options: GatewayOptions): GatewayAccess;
}

/** Options of commands that talk to a gateway. */
export interface GatewayOptions {
  namespace?: string;
  gateway?: string;
  apiKeyFile?: string;
}

export interface GatewayAccess {
  /** Base URL. */
  url: string;
  /** An owner's, which also names the namespace. */
  apiKey: string;
}

/** Straight to controlplanes, whose base URLs are tried in order; or from outside, through a gateway. */
export type ClusterAccess = { endpoints: string[]; clusterKeyFile: string } | { gateway: string; token: string };

/** There is nobody to talk to; the command ends with "not reached". */
export class NoClusterError extends UserError {
  constructor(dataDir: string) {
    super('UNAVAILABLE', `no cluster runs on ${dataDir}, and no other one was named`, {
      hint: 'start one with "orama dev start --detach", or name one with --env <name>, or --api <url> and --cluster-key-file <file>',
      retryable: true,
    });
  }
}

/** The environment of this process, checked. The only place of the CLI that reads it. */
export function readEnvironment(): Environment {
  return parseConfig(environmentSchema, process.env, 'the environment');
}

/** Joins options and environment. Throws ConfigError when one of them is malformed. */
export async function resolveSettings(options: GlobalOptions, variables: Environment): Promise<Settings> {
  // Loads YAML, which neither help nor version needs.
  const { EnvironmentsFile } = await import('./environments/environments-file.ts');
  const given = parseConfig(globalOptionsSchema, options, 'the command line');
  const environment = given.env === LOCAL_ENVIRONMENT ? withoutOtherClusters(variables) : variables;
  const stateHome = environment.XDG_STATE_HOME ?? join(homedir(), '.local', 'state');
  const dataDir = resolve(given.dataDir ?? environment.ORAMA_DATA_DIR ?? join(stateHome, 'orama', 'dev'));
  const configHome = environment.XDG_CONFIG_HOME ?? join(homedir(), '.config');
  const environments = () => EnvironmentsFile.read(join(configHome, 'orama', 'environments.yaml'));
  const { ORAMA_ENV, ORAMA_API, ORAMA_CLUSTER_KEY_FILE, ORAMA_DATA_DIR, ORAMA_GATEWAY } = environment;
  const byOptions = [given.api, given.clusterKeyFile, given.dataDir];
  const byVariables = [ORAMA_API, ORAMA_CLUSTER_KEY_FILE, ORAMA_DATA_DIR];
  return {
    json: given.json,
    dataDir,
    chromium: environment.ORAMA_CHROMIUM,
    path: environment.PATH.split(':').filter((folder) => folder !== ''),
    named: { api: given.api, clusterKeyFile: given.clusterKeyFile },
    environments,
    cluster() {
      const chosen = chooseEnvironment({
        environments,
        option: given.env,
        byOptions,
        variable: ORAMA_ENV,
        byVariables,
      });
      if (chosen) return chosen.cluster;
      const named = given.api ?? ORAMA_API;
      const keyFile = given.clusterKeyFile ?? ORAMA_CLUSTER_KEY_FILE;
      const local = named && keyFile ? undefined : readDevState(dataDir);
      const endpoints = named ?? local?.nodes.map((node) => node.api);
      const clusterKeyFile = keyFile ?? local?.clusterKeyFile;
      if (endpoints && clusterKeyFile) return { endpoints, clusterKeyFile };
      // On a node of a cluster that is the one.
      if (!local && thisPlace().isNode) {
        const own = [`http://127.0.0.1:${API_PORT}`];
        return { endpoints: endpoints ?? own, clusterKeyFile: clusterKeyFile ?? PATHS.clusterKey };
      }
      throw new NoClusterError(dataDir);
    },
    gateway({ namespace, ...options }) {
      const chosen = chooseEnvironment({
        ...{ environments, option: given.env, variable: ORAMA_ENV },
        byOptions: [...byOptions, options.gateway],
        byVariables: [...byVariables, ORAMA_GATEWAY],
      });
      const keyFile = options.apiKeyFile ?? environment.ORAMA_API_KEY_FILE;
      if (chosen) return chosen.gateway(namespace, options.apiKeyFile);
      const url = options.gateway ?? ORAMA_GATEWAY;
      if (url !== undefined) {
        if (keyFile === undefined) throw missing('--api-key-file', 'a gateway that is named wants an API key');
        return { url: parseConfig(gatewayUrlSchema, url, 'the gateway'), apiKey: readSecretFile(keyFile) };
      }
      if (namespace === undefined) throw missing('--namespace', 'no namespace was named, and no gateway');
      const node = readDevState(dataDir)?.nodes[0];
      if (!node && thisPlace().isNode)
        throw missing('--gateway', 'on a node nothing says where the gateway of a namespace is');
      if (!node) throw new NoClusterError(dataDir);
      const file = keyFile ?? apiKeyFile(dataDir, namespace);
      if (!existsSync(file)) {
        throw new UserError('NAMESPACE_NOT_FOUND', `there is no API key of namespace ${namespace} in ${file}`, {
          hint: `see "orama namespace list"; a key of another place is named with --api-key-file <file>`,
        });
      }
      return { url: node.gateway, apiKey: readSecretFile(file) };
    },
  };
}

/** What says where other clusters are than the one of the data directory. */
function withoutOtherClusters({
  ORAMA_API: _api,
  ORAMA_CLUSTER_KEY_FILE: _clusterKey,
  ORAMA_GATEWAY: _gateway,
  ORAMA_API_KEY_FILE: _apiKey,
  ...rest
}: Environment): Environment {
  return rest;
}

function missing(option: string, why: string): UserError {
  return new UserError('INVALID_REQUEST', `${why}: ${option} is missing`, {
    hint: thisPlace().isNode
      ? 'give --gateway https://ns-<namespace>.<base domain> and --api-key-file <file>'
      : 'give --namespace <name> of the local cluster, or --gateway <url> and --api-key-file <file>',
  });
}

/** File that says where the local cluster of a data directory is. */
export function devStateFile(dataDir: string): string {
  return join(dataDir, 'dev.json');
}

/** The local cluster as its supervisor last wrote it down, or undefined when none was ever started there. */
export function readDevState(dataDir: string): DevState | undefined {
  const file = devStateFile(dataDir);
  if (!existsSync(file)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    value = undefined;
  }
  return parseConfig(devStateSchema, value, file);
}

/** Whether the cluster that is meant is the one of the data directory. */
export function isLocal({ dataDir, cluster }: Settings): boolean {
  const access = cluster();
  return 'clusterKeyFile' in access && access.clusterKeyFile === readDevState(dataDir)?.clusterKeyFile;
}
