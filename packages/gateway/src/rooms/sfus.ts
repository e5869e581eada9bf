import { isIP } from 'node:net';
import type { PortAllocationsRepository, RoomPlace, SfuAllocationRow } from '@orama/store';

/** One SFU of a namespace. */
export interface Sfu {
  nodeId: string;
  namespace: string;
  address: string;
  port: number;
}

/** `host:port` of an SFU, with an IPv6 address in brackets. */
export function authorityOf(sfu: Sfu): string {
  return `${isIP(sfu.address) === 6 ? `[${sfu.address}]` : sfu.address}:${sfu.port}`;
}

/** The SFU at a room's place, unless none of them is there any more. */
export function sfuAt(sfus: Sfu[], place: RoomPlace | null): Sfu | undefined {
  return sfus.find(
    (sfu) => sfu.nodeId === place?.nodeId && sfu.address === place.internalIp && sfu.port === place.signalingPort,
  );
}

/** The SFUs that a namespace has. */
export async function listSfus(ports: PortAllocationsRepository, namespace: string): Promise<Sfu[]> {
  const rows = await ports.listOf(namespace);
  return rows
    .filter((row): row is SfuAllocationRow => row.service === 'sfu')
    .map((row) => ({ nodeId: row.nodeId, namespace, address: row.hostIp, port: row.signalingPort }));
}
