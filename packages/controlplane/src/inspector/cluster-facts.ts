import { type ClusterFacts, type ControlplaneConfig, operatorHost } from '@orama/protocol';
import type { Store, TakenBlockRow } from '@orama/store';

/** What the store says must be, for the judgement of what is. */
export async function gatherClusterFacts(
  { baseDomain, certificates, gateway, turn }: ControlplaneConfig,
  store: Store,
): Promise<ClusterFacts> {
  const [nodes, namespaces, settings, blocks, records] = await Promise.all([
    store.nodes.list(),
    store.namespaces.list(),
    store.webrtc.list(),
    store.ports.listTaken(),
    store.dns.list(),
  ]);
  const settingsOf = new Map(settings.map((row) => [row.namespace, row]));
  return {
    baseDomain,
    operatorHost: gateway.operatorApi ? operatorHost(baseDomain) : null,
    turnNames: turn.advertise === 'names',
    gatewayCertificates: certificates.source === 'caddy' && certificates.gateways,
    turnPort443: turn.port443,
    nodes: nodes.map(({ id, state, wireguardIp, publicIp, publicIp6 }) => ({
      id,
      state,
      wireguardIp,
      publicIp,
      publicIp6,
    })),
    namespaces: namespaces.map(({ name }) => {
      const { state = 'off', sfuNodeCount = 0, turnNodeCount = 0 } = settingsOf.get(name) ?? {};
      return { name, webrtc: state, sfuNodeCount, turnNodeCount };
    }),
    blocks: blocks.map(toBlock),
    records: records.map(({ fqdn, value, namespace }) => ({ fqdn, value, namespace })),
  };
}

function toBlock(row: TakenBlockRow): ClusterFacts['blocks'][number] {
  const { nodeId, namespace, hostIp, leavingSinceMs } = row;
  const base = { node: nodeId, namespace, address: hostIp, leaving: leavingSinceMs !== null };
  return row.service === 'sfu'
    ? {
        ...base,
        service: 'sfu',
        signalingPort: row.signalingPort,
        media: { start: row.mediaPortStart, end: row.mediaPortEnd },
      }
    : {
        ...base,
        service: 'turn',
        port: row.listenPort,
        tlsPort: row.tlsPort,
        relay: { start: row.relayPortStart, end: row.relayPortEnd },
      };
}
