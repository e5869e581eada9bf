import { loadConfigFile, OramaError, UserError } from '@orama/core';
import { controlplaneConfigSchema, type StoreConfig } from '@orama/protocol';
import { Option } from 'commander';
import { storeConfig } from '../../dev/layout.ts';
import { NoClusterError, readDevState, type Settings } from '../../settings.ts';

/** Option of the commands that work on a store itself and not by way of a controlplane. */
export function configOption(): Option {
  return new Option('--config <file>', "a controlplane's configuration file, for its store; else the local cluster's");
}

/** The store that a command is about. */
export async function chosenStore(settings: Settings, config: string | undefined): Promise<StoreConfig> {
  if (config !== undefined) return (await loadConfigFile(controlplaneConfigSchema, config)).store;
  const nodes = readDevState(settings.dataDir)?.nodes;
  if (!nodes?.[0]) throw new NoClusterError(settings.dataDir);
  return storeConfig(settings.dataDir, nodes[0], nodes);
}

/** Work on a store that this command reaches itself: one that does not answer was not reached. */
export async function reaching<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    if (!(thrown instanceof OramaError) || thrown.code !== 'STORE_UNAVAILABLE') throw thrown;
    const { message, cause } = thrown;
    throw new UserError('UNAVAILABLE', message, {
      cause,
      retryable: true,
      hint: 'check that the store runs and can be reached from here',
    });
  }
}
