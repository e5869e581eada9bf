import { SecretBox } from '@orama/core';
import { type PortAllocationRow, type Statement, type Store, TURN_SECRET_PURPOSE } from '@orama/store';

/** Namespaces on each node. */
export const ACTIVE = 20;

/** A node that is measured, `node-1`, and others that only beat. */
export async function addNodes(store: Store, net: string, count: number): Promise<void> {
  for (let number = 1; number <= Math.max(2, count); number += 1) {
    const id = `node-${number}`;
    await store.nodes.register({
      id,
      name: id,
      wireguardIp: hostOf(net, number),
      publicIp: `203.0.${number >> 8}.${number & 255}`,
      region: 'default',
      version: '0',
      lastSeenAtMs: Date.now(),
    });
    if (number > 1) await store.db.batch([store.nodes.setReachable({ id, beats: 0 }, true, Date.now())]);
  }
}

/** A sign of life of every node but the one that is measured. */
export async function beat({ db }: Store): Promise<void> {
  await db.batch([{ sql: `UPDATE nodes SET beats = beats + 1 WHERE id <> 'node-1'` }]);
}

/** Enabled namespaces with one SFU and one TURN server each, those of other nodes reported to be healthy. */
export async function addNamespaces(store: Store, net: string, count: number, clusterKey: string): Promise<void> {
  const secrets = new SecretBox(clusterKey, TURN_SECRET_PURPOSE);
  for (let index = 0; index < count; index += 1) {
    const namespace = `ns${index}`;
    const rows = blocksOf(net, namespace, Math.floor(index / ACTIVE) + 1, index % ACTIVE);
    const turn = {
      peerPolicy: 'sfu' as const,
      maxAllocations: 800,
      maxAllocationsPerUsername: 400,
      bytesPerSec: null,
      allocationBytesPerSec: null,
    };
    await store.db.batch([
      store.namespaces.insert({ id: `id-${index}`, name: namespace, owner: 'bench', createdAtMs: 0 }),
      store.namespaces.setWebrtcGeneration(namespace, 1),
      store.webrtc.insert({
        namespace,
        turnSharedSecret: secrets.seal('a secret of the benchmark', namespace),
        turnCredentialTtlSec: 600,
        sfuNodeCount: 1,
        turnNodeCount: 1,
        turn,
        enabledBy: 'bench',
        enabledAtMs: 0,
        generation: 1,
      }),
      store.webrtc.markEnabled(namespace, 1),
      ...rows.flatMap((row) => [store.ports.insert(row), ...(index < ACTIVE ? [] : reportsOf(store, row))]),
    ]);
  }
}

function reportsOf(store: Store, { nodeId, namespace, service }: PortAllocationRow): Statement[] {
  const base = { nodeId, namespace, desired: 'running', observed: 'running', healthy: true, generation: 1 } as const;
  return [service, 'state-file'].map((each) =>
    store.reports.upsert({ ...base, service: each, reason: null, details: {}, reportedAtMs: 0 }),
  );
}

function blocksOf(net: string, namespace: string, node: number, slot: number): PortAllocationRow[] {
  const base = { nodeId: `node-${node}`, hostIp: hostOf(net, node), namespace, allocatedAtMs: 0 };
  const mediaPortStart = 20_000 + slot * 500;
  const relayPortStart = 49_152 + slot * 800;
  return [
    {
      ...base,
      service: 'sfu',
      signalingPort: 30_000 + slot,
      mediaPortStart,
      mediaPortEnd: mediaPortStart + 499,
    },
    {
      ...base,
      service: 'turn',
      listenPort: 3478,
      tlsPort: 5349,
      relayPortStart,
      relayPortEnd: relayPortStart + 799,
    },
  ];
}

function hostOf(net: string, node: number): string {
  return node < 100 ? `${net}.${node}` : `127.200.${node >> 8}.${node & 255}`;
}
