import { createHash } from 'node:crypto';
import type { Sfu } from './sfus.ts';

/** An SFU that answers, with its number of peers. */
export interface Candidate {
  sfu: Sfu;
  peers: number;
}

/**
 * The SFU for a new room: the one with the fewest peers; among equals the highest rendezvous hash of namespace, room and
 * node, so that gateways that see the same load choose the same one. Undefined when there is none.
 */
export function chooseSfu(candidates: Candidate[], namespace: string, roomId: string): Sfu | undefined {
  const fewest = Math.min(...candidates.map((candidate) => candidate.peers));
  return candidates
    .filter((candidate) => candidate.peers === fewest)
    .map(({ sfu }) => ({ sfu, rank: rendezvousRank(namespace, roomId, sfu.nodeId) }))
    .sort((a, b) => (a.rank < b.rank ? 1 : -1))
    .at(0)?.sfu;
}

function rendezvousRank(namespace: string, roomId: string, nodeId: string): string {
  return createHash('sha256').update([namespace, roomId, nodeId].join('\0')).digest('hex');
}
