import type { WireguardPeer } from '@orama/protocol';
import type { NodeRow } from '@orama/store';
import { hostRoute } from './conf-file.ts';
import type { LivePeer } from './interface.ts';

/** What makes the peers of an interface those that are wanted. */
export interface PeerChanges {
  set: { peer: WireguardPeer; reason: string }[];
  remove: { peer: WireguardPeer; reason: string }[];
}

/** The other nodes that are part of the cluster, as peers. */
export function wantedPeers(nodes: readonly NodeRow[], own: string): WireguardPeer[] {
  return nodes.flatMap(({ id, state, wireguardIp, wireguard }) =>
    id === own || state === 'gone' || wireguard === null ? [] : [{ node: id, wireguardIp, ...wireguard }],
  );
}

/**
 * Compares with the interface and with its file. Peers that the file does not call ours are nobody's business here, and an
 * endpoint that WireGuard found by itself, because the peer moved, is left until the store says another one. Pure.
 * @param known peers that the file has as ours
 */
export function planPeers(
  wanted: readonly WireguardPeer[],
  known: readonly WireguardPeer[],
  live: readonly LivePeer[],
): PeerChanges {
  const keys = new Set(wanted.map(({ publicKey }) => publicKey));
  const set = wanted.flatMap((peer) => {
    const there = live.find(({ publicKey }) => publicKey === peer.publicKey);
    const before = known.find(({ publicKey }) => publicKey === peer.publicKey);
    if (!there) return [{ peer, reason: 'it is a node of the cluster' }];
    if (there.allowedIps !== hostRoute(peer.wireguardIp)) return [{ peer, reason: 'it has other addresses' }];
    return before?.endpoint === peer.endpoint && before.node === peer.node
      ? []
      : [{ peer, reason: 'its endpoint changed' }];
  });
  const remove = known.flatMap((peer) =>
    keys.has(peer.publicKey) ? [] : [{ peer, reason: 'it is no node any more' }],
  );
  return { set, remove };
}
