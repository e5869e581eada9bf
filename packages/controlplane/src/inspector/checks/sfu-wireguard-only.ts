import type { ClusterFacts, NodeFacts } from '@orama/protocol';
import { type Check, type Finding, ok } from '../check.ts';

const SFU = /^orama-namespace-sfu@(.+)$/;
type Socket = NodeFacts['sockets'][number];

export const sfuWireguardOnly: Check = {
  id: 'sfu-wireguard-only',
  question: 'are all sockets of SFUs bound to the WireGuard address, and to nothing else?',
  needs: ['nodes'],
  judge: ({ nodes, cluster }) => [...nodes.values()].map((node) => judgeNode(node, cluster)),
};

function judgeNode(facts: NodeFacts, cluster: ClusterFacts): Finding {
  const { node, wireguardIp } = facts;
  const strangers = facts.sockets.filter((socket) => isStranger(socket, facts));
  const sockets = facts.sockets.filter((socket) => isOfSfu(socket, facts) || strangers.includes(socket));
  const open = sockets.filter(({ address }) => address !== wireguardIp);
  if (open.length === 0) {
    return ok(`${sockets.length} sockets of SFUs, all on ${wireguardIp}`, { node });
  }
  const namespace = cluster.blocks.find(
    (block) => block.service === 'sfu' && block.node === node && open.some((socket) => isIn(socket, block)),
  )?.namespace;
  const units = [...new Set(open.map(({ unit }) => unit ?? `orama-namespace-sfu@${namespace ?? '<namespace>'}`))];
  return {
    severity: 'critical',
    node,
    seen: `bound beside WireGuard: ${open.map(show).join(', ')}`,
    mend:
      strangers.length === open.length
        ? `on ${node}: ss -tulpn names the process; no service of ours has to listen there`
        : `on ${node}: systemctl stop ${units.join(' ')}; then see who changed its configuration in ${facts.dataDir}/configs`,
  };
}

const WILDCARDS = ['0.0.0.0', '::'];

/** What no service has to listen on, of our services' user, reached from outside: which of them it is cannot be told. */
function isStranger(socket: Socket, facts: NodeFacts): boolean {
  const { unit, protocol, address, port } = socket;
  const { publicAddresses, listeners, ranges, wireguardIp } = facts;
  const isOutside = WILDCARDS.includes(address) || publicAddresses.includes(address);
  if (unit !== null || isOfSfu(socket, facts) || !isOutside || address === wireguardIp) return false;
  const isRelay = protocol === 'udp' && port >= ranges.turnRelay.start && port <= ranges.turnRelay.end;
  const isKnown = listeners.some(
    (one) =>
      one.protocol === protocol && one.port === port && (one.address === address || WILDCARDS.includes(one.address)),
  );
  return !isKnown && !(isRelay && !WILDCARDS.includes(address));
}

/** By its unit where that is known; else by its port, of which those ranges are for SFUs alone. */
function isOfSfu({ unit, protocol, port }: Socket, { ranges }: NodeFacts): boolean {
  if (unit !== null) return SFU.test(unit);
  const range = protocol === 'udp' ? ranges.sfuMedia : ranges.sfuSignaling;
  return port >= range.start && port <= range.end;
}

function isIn({ protocol, port }: Socket, block: ClusterFacts['blocks'][number]): boolean {
  if (block.service !== 'sfu') return false;
  return protocol === 'udp' ? port >= block.media.start && port <= block.media.end : port === block.signalingPort;
}

function show({ protocol, address, port, unit }: Socket): string {
  return `${protocol} ${address}:${port}${unit === null ? '' : ` (${unit})`}`;
}
