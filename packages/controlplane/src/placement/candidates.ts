import type { NodeRow, PortAllocationRow } from '@orama/store';

/** What placement knows of a node. */
export type PlacementNode = Pick<
  NodeRow,
  'id' | 'wireguardIp' | 'publicIp' | 'region' | 'state' | 'reachable' | 'core' | 'load'
>;

/** An event loop that is late by less is as good as one that is not. */
const LATENESS_STEP_MS = 20;
/** Less than this many relayed bytes per second make no difference, 8 Mbit/s. */
const RELAYED_STEP_BYTES = 1_000_000;

/** Whether anything may be put on a node. */
export function canTake(node: Pick<NodeRow, 'state' | 'reachable'>): boolean {
  return node.state === 'active' && node.reachable;
}

/**
 * The nodes that can take a service of a namespace, the best first: away from the addresses and regions of those that
 * have it already; then the one with the fewest blocks in use, the least late event loop and the fewest relayed bytes of
 * the last minutes; then by id. Pure, and the same for any order of its input.
 * @param having nodes that serve the namespace with this service; never chosen again
 * @param taken every block in use in the cluster
 */
export function rankCandidates(
  nodes: readonly PlacementNode[],
  having: readonly PlacementNode[],
  taken: readonly PortAllocationRow[],
): PlacementNode[] {
  const blocks = new Map<string, number>();
  for (const { nodeId } of taken) blocks.set(nodeId, (blocks.get(nodeId) ?? 0) + 1);
  const ranked = nodes
    .filter((node) => canTake(node) && !having.some(({ id }) => id === node.id))
    .map((node) => ({
      node,
      key: [
        having.filter((other) => other.wireguardIp === node.wireguardIp || other.publicIp === node.publicIp).length,
        having.filter((other) => other.region === node.region).length,
        blocks.get(node.id) ?? 0,
        Math.floor(node.load.loopDelayMs / LATENESS_STEP_MS),
        Math.floor(node.load.relayedBytesPerSec / RELAYED_STEP_BYTES),
      ],
    }));
  return ranked.sort((a, b) => compare(a.key, b.key) || (a.node.id < b.node.id ? -1 : 1)).map(({ node }) => node);
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : (a[at] as number) - (b[at] as number);
}
