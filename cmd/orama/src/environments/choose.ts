import { readSecretFile, UserError } from '@orama/core';
import type { ClusterAccess, GatewayAccess } from '../settings.ts';
import { LOCAL_ENVIRONMENT } from './environment.ts';
import type { EnvironmentsFile } from './environments-file.ts';
import { trustAuthorities } from './trust.ts';

/** What says which cluster is meant. */
interface Wishes {
  environments: () => EnvironmentsFile;
  /** Of `--env`. */
  option: string | undefined;
  /** Other options that name a cluster. */
  byOptions: readonly unknown[];
  /** Of ORAMA_ENV. */
  variable: string | undefined;
  /** Other variables that name a cluster. */
  byVariables: readonly unknown[];
}

interface ChosenEnvironment {
  readonly cluster: ClusterAccess;
  /** The gateway, with the key of a namespace that is kept there or in `apiKeyFile`. Throws INVALID_REQUEST. */
  gateway(namespace: string | undefined, apiKeyFile: string | undefined): GatewayAccess;
}

/**
 * The environment that is meant, or undefined where something else names the cluster: options before variables, and both
 * before what `orama env use` chose. Its authorities are trusted from here on. Throws INVALID_REQUEST, NOT_FOUND, ConfigError.
 */
export function chooseEnvironment(wishes: Wishes): ChosenEnvironment | undefined {
  const name = nameOf(wishes);
  if (name === undefined || name === LOCAL_ENVIRONMENT) return undefined;
  const file = wishes.environments();
  const entry = file.get(name);
  if (entry.caFile !== undefined) trustAuthorities(file.file(entry.caFile));
  return {
    get cluster() {
      const { url, api = [], clusterKeyFile = '' } = entry;
      return url === undefined
        ? { endpoints: api, clusterKeyFile: file.file(clusterKeyFile) }
        : { gateway: url, token: file.tokenOf(entry) };
    },
    gateway(namespace, apiKeyFile) {
      const { url, apiKeys } = entry;
      const apiKey = apiKeyFile === undefined ? keyOf(apiKeys, namespace) : readSecretFile(apiKeyFile);
      if (url !== undefined && apiKey !== undefined) return { url, apiKey };
      const lacks = url === undefined ? 'no url' : `no API key of namespace ${namespace ?? '?'}`;
      throw new UserError('INVALID_REQUEST', `environment "${name}" has ${lacks}, which commands about rooms need`, {
        hint: `add it in ${file.path} (url; apiKeys: {<namespace>: <key>}), or give --gateway <url> and --api-key-file <file>`,
      });
    },
  };
}

function nameOf({ environments, option, byOptions, variable, byVariables }: Wishes): string | undefined {
  const isNamed = byOptions.some((given) => given !== undefined);
  if (option !== undefined && option !== LOCAL_ENVIRONMENT && isNamed) {
    throw new UserError('INVALID_REQUEST', 'the cluster is named twice: by --env and by another option', {
      hint: 'leave out --env, or --api, --cluster-key-file, --data-dir and --gateway',
    });
  }
  if (option !== undefined || isNamed) return option;
  if (variable !== undefined || byVariables.some((given) => given !== undefined)) return variable;
  return environments().current;
}

function keyOf(apiKeys: Readonly<Record<string, string>>, namespace = ''): string | undefined {
  return Object.hasOwn(apiKeys, namespace) ? apiKeys[namespace] : undefined;
}
