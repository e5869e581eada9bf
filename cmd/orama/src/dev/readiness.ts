import type { ControlplaneClient } from '@orama/controlplane/client';
import { OramaError } from '@orama/core';
import type { ClusterStatus } from '@orama/protocol';
import { pause } from '../wait.ts';
import type { DevNode } from './state.ts';

const CLUSTER_TIMEOUT_MS = 60_000;
const NAMESPACES_TIMEOUT_MS = 60_000;
const READY_TIMEOUT_MS = 2_000;
const POLL_MS = 150;

/** Waits until every node's controlplane is alive and its services are healthy. Throws `TIMEOUT` naming what is missing. */
export async function waitForCluster(options: {
  client: ControlplaneClient;
  nodes: DevNode[];
  signal: AbortSignal;
  onProgress: (text: string) => void;
  throwIfHopeless: () => void;
}): Promise<void> {
  const deadline = performance.now() + CLUSTER_TIMEOUT_MS;
  for (;;) {
    options.throwIfHopeless();
    const cluster = await options.client.cluster().catch(() => undefined);
    const missing = missingParts(options.nodes, cluster, await unreadyNodes(options.nodes));
    if (missing.length === 0) return;
    if (performance.now() >= deadline) {
      throw new OramaError(
        'TIMEOUT',
        `the cluster is not up after ${CLUSTER_TIMEOUT_MS / 1000} s: ${missing.join(', ')}`,
        {
          hint: 'see "orama dev logs"',
          details: { missing },
        },
      );
    }
    options.onProgress(`waiting for ${missing.join(', ')}`);
    await pause(POLL_MS, options.signal);
  }
}

/** Nodes whose controlplanes do not answer, or are still restoring their node: what the others say is seconds old. */
export async function unreadyNodes(nodes: Pick<DevNode, 'id' | 'api'>[]): Promise<ReadonlySet<string>> {
  const unready = await Promise.all(nodes.map(async ({ id, api }) => ((await isReady(api)) ? [] : [id])));
  return new Set(unready.flat());
}

async function isReady(api: string): Promise<boolean> {
  try {
    const response = await fetch(`${api}/readyz`, { signal: AbortSignal.timeout(READY_TIMEOUT_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/**
 * What keeps a cluster from being up, each in words. A node that is drained has no TURN server, one that was removed nothing.
 * @param unready nodes whose controlplanes say themselves, or by their silence, that they are not ready
 */
export function missingParts(
  nodes: Pick<DevNode, 'id'>[],
  cluster: ClusterStatus | undefined,
  unready: ReadonlySet<string>,
): string[] {
  if (!cluster) return ['a controlplane to answer'];
  return nodes.flatMap(({ id }) => {
    const node = cluster.nodes.find((candidate) => candidate.id === id);
    if (node?.state === 'gone') return [];
    if (!node?.alive || unready.has(id)) return [`the controlplane of ${id}`];
    const drained = node.state === 'draining';
    const down = node.core.filter(({ service, healthy }) => !healthy && !(drained && service === 'turn'));
    return down.map(({ service, reason }) => `${service} of ${id}${reason === undefined ? '' : ` (${reason})`}`);
  });
}

/** Waits until the namespaces that are enabled are healthy again. One that does not come back is told, not waited for. */
export async function waitForNamespaces(options: {
  client: ControlplaneClient;
  signal: AbortSignal;
  onProgress: (text: string) => void;
}): Promise<void> {
  const deadline = performance.now() + NAMESPACES_TIMEOUT_MS;
  for (const { name, webrtc } of await options.client.namespaces()) {
    if (webrtc !== 'enabled') continue;
    for (;;) {
      const status = await options.client.webrtcStatus(name).catch(() => undefined);
      if (status?.healthy) {
        options.onProgress(`namespace ${name} is back`);
        break;
      }
      const why = status?.problems[0] ?? 'its status is not known yet';
      if (performance.now() >= deadline) {
        options.onProgress(`namespace ${name} is not healthy yet: ${why}`);
        break;
      }
      options.onProgress(`restoring namespace ${name}: ${why}`);
      await pause(POLL_MS, options.signal);
    }
  }
}
