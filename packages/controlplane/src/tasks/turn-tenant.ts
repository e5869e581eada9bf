import {
  type ControlplaneConfig,
  localAddressOf,
  type TurnTenant,
  turnDomain,
  turnTenantSchema,
} from '@orama/protocol';
import type { NodeRow, TurnAllocationRow } from '@orama/store';
import type { DesiredNamespace, TurnSecrets } from '../reconcile/desired.ts';

/**
 * A namespace as this node's TURN server must have it; null when it must not have it. Its relay addresses are on the
 * WireGuard address, where nothing of them is open to the internet; with public peers they are on the public addresses,
 * and its SFUs are reached from the WireGuard address. Pure.
 * @param isUp whether the server may be there
 */
export function turnTenantOf(
  own: ControlplaneConfig,
  { config, wanted, sfu, turn, leaving }: DesiredNamespace,
  { valid, retired }: TurnSecrets,
  nodes: readonly NodeRow[],
  isUp: boolean,
): TurnTenant | null {
  const here = turn.find((row) => row.nodeId === own.node) ?? (isUp ? drainedOf(own, leaving, nodes) : undefined);
  if (!wanted || !here) return null;
  const ports = { portStart: here.relayPortStart, portEnd: here.relayPortEnd };
  const mesh = config.peerPolicy === 'public';
  return turnTenantSchema.parse({
    namespace: config.namespace,
    secrets: valid,
    ...(retired.length > 0 && { retiredSecrets: retired }),
    domain: turnDomain(config.namespace, own.baseDomain),
    relay: mesh
      ? {
          address: localAddressOf(own, own.publicIp),
          ...(own.publicIp6 !== undefined && { address6: localAddressOf(own, own.publicIp6) }),
          innerAddress: here.hostIp,
          ...ports,
        }
      : { address: here.hostIp, ...ports },
    // An SFU that is being moved away tells its clients over here to come back.
    peers: [...sfu, ...leaving.filter((row) => row.service === 'sfu')].map((row) => ({
      ip: row.hostIp,
      portStart: row.mediaPortStart,
      portEnd: row.mediaPortEnd,
    })),
    allowPublicPeers: mesh,
    maxAllocations: config.maxAllocations,
    maxAllocationsPerUsername: config.maxAllocationsPerUsername,
    ...(config.bytesPerSec !== null && { bytesPerSec: config.bytesPerSec }),
    ...(config.allocationBytesPerSec !== null && { allocationBytesPerSec: config.allocationBytesPerSec }),
    alternates: turn.flatMap((row) => {
      const node = nodes.find(({ id }) => id === row.nodeId);
      const serves = node && row.nodeId !== own.node && isServing(node);
      const addresses = serves ? [node.publicIp, node.publicIp6] : [];
      const { listenPort: port, tlsPort } = row;
      return addresses.flatMap((address) => (address === null ? [] : [{ address, port, tlsPort }]));
    }),
    generation: config.generation,
  });
}

/** The block of a tenant that this node, being drained, keeps until its TURN server has ended: no call is cut before. */
function drainedOf(
  own: ControlplaneConfig,
  leaving: DesiredNamespace['leaving'],
  nodes: readonly NodeRow[],
): TurnAllocationRow | undefined {
  if (nodes.find(({ id }) => id === own.node)?.state !== 'draining') return undefined;
  return leaving.find((row): row is TurnAllocationRow => row.service === 'turn' && row.nodeId === own.node);
}

/** Whether a node's TURN server takes allocations, as far as the node says. */
function isServing(node: NodeRow): boolean {
  const turn = node.core.find(({ service }) => service === 'turn');
  return node.state === 'active' && node.reachable && turn?.healthy === true;
}
