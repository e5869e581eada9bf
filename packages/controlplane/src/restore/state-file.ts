import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, writeFileAtomic } from '@orama/core';
import {
  CLUSTER_STATE_FILE,
  type ClusterState,
  type ControlplaneConfig,
  clusterStateSchema,
  namespaceNameSchema,
  turnDomain,
} from '@orama/protocol';
import type { NodeRow } from '@orama/store';
import type { DesiredNamespace } from '../reconcile/desired.ts';

/** What a node's state file of a namespace must say, but for the time; null when the namespace has nothing here. */
export function stateOf(
  { config, wanted, sfu, turn }: DesiredNamespace,
  nodes: readonly NodeRow[],
  own: ControlplaneConfig,
): Omit<ClusterState, 'saved_at'> | null {
  const sfuHere = sfu.find((row) => row.nodeId === own.node);
  const turnHere = turn.find((row) => row.nodeId === own.node);
  if (!wanted || (!sfuHere && !turnHere)) return null;
  return {
    version: 1,
    cluster_id: own.clusterId,
    namespace_name: config.namespace,
    local_node_id: own.node,
    local_ip: own.wireguardIp,
    all_nodes: nodes
      .filter((node) => node.state !== 'gone')
      .map((node) => ({ node_id: node.id, internal_ip: node.wireguardIp })),
    base_domain: own.baseDomain,
    has_sfu: sfuHere !== undefined,
    has_turn: turnHere !== undefined,
    turn_domain: turnDomain(config.namespace, own.baseDomain),
    turn_credential_ttl: config.turnCredentialTtlSec,
    ...(sfuHere && {
      sfu_signaling_port: sfuHere.signalingPort,
      sfu_media_port_start: sfuHere.mediaPortStart,
      sfu_media_port_end: sfuHere.mediaPortEnd,
    }),
    ...(turnHere && {
      turn_listen_port: turnHere.listenPort,
      turn_tls_port: turnHere.tlsPort,
      turn_relay_port_start: turnHere.relayPortStart,
      turn_relay_port_end: turnHere.relayPortEnd,
    }),
    generation: config.generation,
  };
}

/** A state file as it lies on disk; `state` is null when it is unusable, and `problem` says why. */
export interface FoundStateFile {
  namespace: string;
  state: ClusterState | null;
  problem: string | null;
}

/** Reads every state file below `<data>/namespaces/`. A folder without its file counts as a missing one. */
export async function readStateFiles(namespacesDir: string): Promise<FoundStateFile[]> {
  const names = await readdir(namespacesDir).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return [];
    throw thrown;
  });
  return Promise.all(
    names
      .filter((name) => namespaceNameSchema.safeParse(name).success)
      .map(async (namespace): Promise<FoundStateFile> => {
        try {
          const text = await readFile(join(namespacesDir, namespace, CLUSTER_STATE_FILE), 'utf8');
          const parsed = clusterStateSchema.safeParse(JSON.parse(text));
          if (parsed.success) return { namespace, state: parsed.data, problem: null };
          return {
            namespace,
            state: null,
            problem: parsed.error.issues.map((issue) => issue.path.join('.')).join(', '),
          };
        } catch (thrown) {
          return { namespace, state: null, problem: describeError(thrown) };
        }
      }),
  );
}

export async function writeStateFile(namespacesDir: string, state: ClusterState): Promise<void> {
  await writeFileAtomic(
    join(namespacesDir, state.namespace_name, CLUSTER_STATE_FILE),
    `${JSON.stringify(state, null, 2)}\n`,
  );
}

/** Removes a namespace's folder with everything in it. */
export async function removeStateFile(namespacesDir: string, namespace: string): Promise<void> {
  await rm(join(namespacesDir, namespace), { recursive: true, force: true });
}
