import { ControlplaneClient } from '@orama/controlplane/client';
import { readSecretFile } from '@orama/core';
import type { Context } from './context.ts';
import type { ClusterAccess } from './settings.ts';

/** The cluster that a command is about. */
export function connect(context: Context): ControlplaneClient {
  return connectTo(context.settings.cluster());
}

export function connectTo(access: ClusterAccess): ControlplaneClient {
  return new ControlplaneClient({ endpoints: access.endpoints, clusterKey: readSecretFile(access.clusterKeyFile) });
}

/** The nodes that are part of the cluster; those that were removed are not. */
export async function nodeIds(client: ControlplaneClient): Promise<string[]> {
  return (await client.cluster()).nodes.flatMap(({ id, state }) => (state === 'gone' ? [] : [id]));
}
