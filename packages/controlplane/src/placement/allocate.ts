import type { NodeRow, PortAllocationRow, SfuAllocationRow, TurnAllocationRow } from '@orama/store';
import { freeBlock, type PortBlock, without } from './port-blocks.ts';

/** Where WireGuard listens unless told otherwise, which every node has: a relay block around it would have a port too few. */
export const WIREGUARD_PORT = 51_820;

/** Ranges and block sizes, as configured. */
export interface PortRanges {
  sfuSignaling: PortBlock;
  sfuMedia: PortBlock;
  sfuMediaBlock: number;
  turnRelay: PortBlock;
  turnRelayBlock: number;
  turnListenPort: number;
  turnTlsPort: number;
}

export type Service = 'sfu' | 'turn';

/** For whom blocks are allocated, out of which ranges, and when. */
export interface AllocationRequest {
  namespace: string;
  ports: PortRanges;
  nowMs: number;
}

/**
 * The lowest free block of a node for a service, or the name of the range that has none. Pure.
 * @param taken every block in use; nodes that share an address share its ports
 */
export function allocate(
  service: Service,
  node: Pick<NodeRow, 'id' | 'wireguardIp'>,
  taken: readonly PortAllocationRow[],
  { namespace, ports, nowMs }: AllocationRequest,
): PortAllocationRow | { exhausted: string } {
  const base = { nodeId: node.id, hostIp: node.wireguardIp, namespace, allocatedAtMs: nowMs };
  const here = taken.filter((row) => row.hostIp === node.wireguardIp);
  if (service === 'sfu') {
    const sfus = here.filter((row): row is SfuAllocationRow => row.service === 'sfu');
    const signaling = freeBlock(
      ports.sfuSignaling,
      1,
      sfus.map((row) => ({ start: row.signalingPort, end: row.signalingPort })),
    );
    if (!signaling) return { exhausted: rangeName('SFU signalling', ports.sfuSignaling) };
    const media = freeBlock(
      ports.sfuMedia,
      ports.sfuMediaBlock,
      sfus.map((row) => ({ start: row.mediaPortStart, end: row.mediaPortEnd })),
    );
    if (!media) return { exhausted: rangeName('SFU media', ports.sfuMedia) };
    return { ...base, service, signalingPort: signaling.start, mediaPortStart: media.start, mediaPortEnd: media.end };
  }
  const turns = here.filter((row): row is TurnAllocationRow => row.service === 'turn');
  const used = turns.map((row) => ({ start: row.relayPortStart, end: row.relayPortEnd }));
  const relay = without(ports.turnRelay, [WIREGUARD_PORT])
    .map((part) => freeBlock(part, ports.turnRelayBlock, used))
    .find((block) => block !== null);
  if (!relay) return { exhausted: rangeName('TURN relay', ports.turnRelay) };
  return {
    ...base,
    service,
    listenPort: ports.turnListenPort,
    tlsPort: ports.turnTlsPort,
    relayPortStart: relay.start,
    relayPortEnd: relay.end,
  };
}

function rangeName(what: string, range: PortBlock): string {
  return `${what} ${range.start}-${range.end}`;
}
