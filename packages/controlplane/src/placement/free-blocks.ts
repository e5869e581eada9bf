import type { ControlplaneConfig } from '@orama/protocol';
import type { PortAllocationRow } from '@orama/store';
import { WIREGUARD_PORT } from './allocate.ts';
import { blocksIn, countFree, without } from './port-blocks.ts';

interface Blocks {
  free: number;
  total: number;
}

/** How many more SFUs and TURN tenants a node has ports for. Pure. @param taken every block in use */
export function countFreeBlocks(
  { wireguardIp, ports }: Pick<ControlplaneConfig, 'wireguardIp' | 'ports'>,
  taken: readonly PortAllocationRow[],
): { sfu: Blocks; turn: Blocks } {
  const here = taken.filter(({ hostIp }) => hostIp === wireguardIp);
  const { sfuSignaling, sfuMedia, sfuMediaBlock, turnRelayBlock } = ports;
  const sfus = here.filter((row) => row.service === 'sfu');
  const signalling = sfus.map((row) => ({ start: row.signalingPort, end: row.signalingPort }));
  const media = sfus.map((row) => ({ start: row.mediaPortStart, end: row.mediaPortEnd }));
  const turns = here.filter((row) => row.service === 'turn');
  const relay = turns.map((row) => ({ start: row.relayPortStart, end: row.relayPortEnd }));
  const relayParts = without(ports.turnRelay, [WIREGUARD_PORT]);
  const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
  return {
    // A port for signalling goes with each block of media.
    sfu: {
      free: Math.min(countFree(sfuSignaling, 1, signalling), countFree(sfuMedia, sfuMediaBlock, media)),
      total: Math.min(blocksIn(sfuSignaling, 1), blocksIn(sfuMedia, sfuMediaBlock)),
    },
    turn: {
      free: sum(relayParts.map((part) => countFree(part, turnRelayBlock, relay))),
      total: sum(relayParts.map((part) => blocksIn(part, turnRelayBlock))),
    },
  };
}
