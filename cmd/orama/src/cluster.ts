import { hostname, userInfo } from 'node:os';
import { ControlplaneClient } from '@orama/controlplane/client';
import { readSecretFile } from '@orama/core';
import type { Context } from './context.ts';
import { startCluster, thisPlace } from './remedies.ts';
import type { ClusterAccess } from './settings.ts';

/** The cluster that a command is about. */
export function connect(context: Context): ControlplaneClient {
  return connectTo(context.settings.cluster());
}

export function connectTo(access: ClusterAccess): ControlplaneClient {
  const requestedBy = whoAsks();
  if ('gateway' in access) return new ControlplaneClient({ ...access, requestedBy });
  const clusterKey = readSecretFile(access.clusterKeyFile);
  const { endpoints } = access;
  return new ControlplaneClient({ endpoints, clusterKey, requestedBy, startHint: startCluster(thisPlace()) });
}

/** The user of this command as the history of operations shows it. */
function whoAsks(): string {
  const where = hostname().slice(0, 64);
  try {
    return `${userInfo().username.slice(0, 32)}@${where}`;
  } catch {
    // A container's user may have no name.
    return `uid-${process.getuid?.()}@${where}`;
  }
}

/** The nodes that are part of the cluster; those that were removed are not. */
export async function nodeIds(client: ControlplaneClient): Promise<string[]> {
  return (await client.cluster()).nodes.flatMap(({ id, state }) => (state === 'gone' ? [] : [id]));
}
